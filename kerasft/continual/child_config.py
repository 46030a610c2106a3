"""The config of a run that goes on from another: its own with other data, or one that fits it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasft.config.load import load_config, read_config
from kerasft.config.schema import Config
from kerasft.continual.new_tasks import METHOD, check_base
from kerasft.continual.stage_run import changed
from kerasft.errors import UserError
from kerasft.runs import Run

DEFAULT_METHOD = "replay"  # of a parent without a method: it keeps the head that the run has
HELD_OUT = 0.1  # share of new rows for validation, where the parent's own is a file


def child_config(parent: Run, source: str, overrides: Sequence[str], again: bool = False) -> Config:
    """The config of the new run: the parent's with other data, or the file's.

    Args:
        parent: that goes on.
        source: a YAML file, or a source of rows.
        overrides: `key=value`.
        again: the run was begun before: without a name it is the newest of the parent's name, not the next.

    Raises:
        UserError: the file's config is of another task or preset, or the values are no config.
    """
    if source.endswith((".yaml", ".yml")):
        config = load_config(source, overrides)
        if config.continual is None:
            config = changed(config, {"continual": method_of_parent(parent)})
        return _checked(parent, config)
    values = parent.config.model_dump(mode="python")
    values["continual"] = method_of_parent(parent)
    if other := [each for each in overrides if each.startswith("continual.method=")]:
        # The keys of the parent's method may be none of another one's.
        values["continual"] = values["continual"] if other[-1].endswith(f"={values['continual']['method']}") else {}
    values["name"] = next_name(parent, again)
    values["export"]["name"] = parent.config.served_name
    data, held_out = values["data"], {"validation": HELD_OUT, "test": None}
    data |= {"train": source, "clean": None, "limit": None}
    data |= {split: data[split] if isinstance(data[split], float) else share for split, share in held_out.items()}
    if "labels" in values["task"]:
        values["task"]["labels"] = None  # those of the parent, and new ones behind them
    return _checked(parent, read_config(values, overrides))


def method_of_parent(parent: Run) -> dict[str, Any]:
    """The section `continual` that the parent was trained by, without its sequence."""
    section = parent.config.continual
    if section is None:
        return {"method": DEFAULT_METHOD}
    return section.model_dump(mode="python", exclude={"stages", "classes", "order", "baselines"})


def _checked(parent: Run, config: Config) -> Config:
    before, section = parent.config, config.continual
    if section is not None and section.method == METHOD:
        check_base(parent, config)
        return config
    if type(before.task) is not type(config.task):
        raise UserError(
            f"task.name: {config.task.name}, and {parent.folder} is of {before.task.name}; a task beside it takes "
            "continual.method=adapters"
        )
    if config.model.preset not in (before.model.preset, f"run:{parent.folder}", f"run:{parent.folder}/model"):
        raise UserError(
            f"model.preset: {config.model.preset}, and {parent.folder} has {before.model.preset}: a run goes on with "
            f"its own weights and tokenizer; set model.preset=run:{parent.folder}"
        )
    if section is not None and (section.stages is not None or section.classes is not None or section.baselines):
        raise UserError(
            "continual: stages, classes and baselines are for a whole sequence, which kerasft train begins; a run goes "
            "on by one stage: leave them out"
        )
    return config


def next_name(parent: Run, again: bool) -> str:
    """The parent's name with the next number behind it that is free, or where `again` the last one that is taken."""
    match = re.fullmatch(r"(.*?)(?:-(\d+))?", parent.config.name)
    assert match is not None  # any name is one with or without a number
    folder, stem, number = Path(parent.config.output.dir), match[1], int(match[2] or 1) + 1
    while (folder / f"{stem}-{number}").exists():
        if again and not (folder / f"{stem}-{number + 1}").exists():
            break
        number += 1
    return f"{stem}-{number}"
