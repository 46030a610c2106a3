"""What a `.keras` file or a preset's folder holds of a model, and the model made of such a file again.

Nothing in the file is code: a backbone is made of KerasHub's classes alone, as `kerasft.models.presets.keras_files`
checks, and the tokenizer is read from files as those of a preset are.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from kerasft.assembly import Assembled, check_savable, save_model, with_head
from kerasft.atomic import write_folder
from kerasft.errors import UserError
from kerasft.keras_models.settings import Settings, save_settings
from kerasft.models.dtype_policy import dtype_policy
from kerasft.models.presets.facts import facts_file
from kerasft.models.presets.keras_presets import (
    backbone_config,
    backbone_of_config,
    load_saved_tokenizer,
    save_tokenizer,
)
from kerasft.paths import check_folder, check_no_pattern
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

PLACE = Path("config.json of the .keras file")


def config_of(assembled: Assembled, task: Task, settings: Settings) -> dict[str, Any]:
    """All but weights and tokenizer, JSON-able.

    Raises:
        UserError: there is something in the model that would not be made again.
    """
    check_savable(assembled)
    if assembled.parts:
        names = ", ".join(part.name for part in assembled.parts)
        raise UserError(f"a .keras file does not hold the part {names} of this model; use save_to_preset")
    return {
        "settings": settings.as_json(),
        "state": json.loads(json.dumps(task.state)),
        "backbone": backbone_config(assembled.backbone),
        "frozen": [layer.name for layer in assembled.backbone.layers if not layer.trainable],
    }


def parts_of(config: Mapping[str, Any]) -> tuple[Settings, Task, Assembled]:
    """A model with random weights, which has no tokenizer yet.

    Raises:
        UserError: the file names classes that are not made.
    """
    settings = Settings.of_json(config["settings"])
    # The preset that the model once began with need not be there any more.
    task = create_task(dataclasses.replace(settings, preset="python").config(), config["state"])
    with dtype_policy(settings.dtype):
        assembled = with_head(task, backbone_of_config(config["backbone"], PLACE, settings.dtype), None)
    for name in config["frozen"]:
        assembled.backbone.get_layer(name).trainable = False
    return settings, task, assembled


def save_assets(assembled: Assembled, folder: str) -> None:
    """Writes the tokenizer's files, where there is one."""
    if assembled.tokenizer is not None:
        save_tokenizer(assembled.tokenizer, folder)
        # KerasHub reads a tokenizer only where the backbone's config lies.
        config = json.dumps(backbone_config(assembled.backbone))
        (Path(folder) / "config.json").write_text(config, encoding="utf-8")


def with_tokenizer(assembled: Assembled, task: Task, folder: str) -> Assembled:
    """The model with the tokenizer that `save_assets` wrote, and a preprocessor."""
    if not (Path(folder) / "tokenizer.json").is_file():
        return assembled
    tokenizer = load_saved_tokenizer(folder)
    preprocessor = task.preprocessor(assembled.backbone, tokenizer)
    return dataclasses.replace(assembled, tokenizer=tokenizer, preprocessor=preprocessor)


def save_preset_folder(assembled: Assembled, task: Task, settings: Settings, folder: Path) -> None:
    """Writes a preset with its head: whole, or what was there stays.

    Args:
        folder: new, empty, or a preset that this wrote before.

    Raises:
        UserError: there is something else in the folder, or it can't be written.
    """
    check_no_pattern(folder, "preset_dir")
    check_folder(str(folder), "preset_dir")
    if folder.exists() and any(folder.iterdir()) and not facts_file(folder).is_file():
        raise UserError(f"preset_dir: {folder} has other files in it; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with write_folder(folder) as draft:
        save_model(assembled, task, draft)
        save_settings(settings, draft)


def float32_twin(assembled: Assembled, task: Task) -> tuple[Task, Assembled]:
    """The same model in float32, as it is exported."""
    twin = create_task(task.config, task.state)
    with dtype_policy("float32"):
        backbone = backbone_of_config(backbone_config(assembled.backbone), PLACE, "float32")
        parts = tuple(type(part).put_in(backbone, part.settings) for part in assembled.parts)
        made = with_head(twin, backbone, assembled.tokenizer, parts)
    pairs: tuple[tuple[keras.Model, keras.Model], ...] = (
        (made.backbone, assembled.backbone),
        (made.model, assembled.model),
    )
    for mine, theirs in pairs:
        mine.set_weights(theirs.get_weights())
    return twin, made
