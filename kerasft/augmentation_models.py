"""The models that make texts of train: found, asked what they are, and told apart, before TensorFlow is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasft.config.load import load_config
from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.inference.predictor import open_model
from kerasft.inference.untrained import is_config
from kerasft.models.presets.positions import fit_max_length
from kerasft.models.presets.presets import resolve_preset
from kerasft.runs import Run, Trained
from kerasft.tasks.registry import create_task

MODELS = {  # method -> the keys that name its models, and what these have to be
    "masked_lm": {"model": "fills masks", "judge": "answers"},
    "back_translation": {"forward": "writes", "backward": "writes", "judge": "answers"},
    "paraphrase": {"model": "writes", "judge": "answers"},
}


def digests_of(name: str, section: Any) -> dict[str, Any]:
    """Which models a method has, each found and asked what it is, without TensorFlow."""
    found = {}
    for key, needed in MODELS[name].items():
        path = getattr(section, key)
        if path is None:
            continue
        opened = open_source(path, needed)
        task = create_task(opened.config)
        is_right = {"fills masks": task.fills_masks, "writes": task.writes, "answers": not task.writes}[needed]
        if not is_right or (needed == "writes" and len(task.inputs) != 1):
            what = {
                "fills masks": "does not fill masks; name a masked_lm model",
                "writes": "does not write a text for a text; name a seq2seq model, or one that answers prompts",
                "answers": "writes texts, which are not compared; name a model that gives labels",
            }[needed]
            raise UserError(f"augment.{name}.{key}: {path} is a {task.config.task.name}, which {what}")
        identity = opened.identity() if isinstance(opened, Run) else None
        found[key] = identity or {"model": path, "preset": opened.config.model.preset} | _export_identity(Path(path))
    return found


def open_source(path: str, needed: str) -> Any:
    """A model that is not loaded yet; of a config whose preset shall fill masks the preset's own head."""
    if needed == "fills masks" and is_config(Path(path)):
        return _OwnHead(fit_max_length(load_config(path)))
    return open_model(Path(path))


@dataclass(frozen=True)
class _OwnHead:
    """A preset that was pre-trained as a masked language model, as it is."""

    config: Config

    def load(self) -> Trained:
        from kerasft.assembly import assemble
        from kerasft.models.presets.masked_lm_weights import load_head

        task, preset = create_task(self.config), resolve_preset(self.config.model.preset)
        assembled = assemble(self.config, task, preset=preset)
        if preset is None or not load_head(assembled.model, preset):
            raise UserError(
                f"augment.masked_lm.model: {self.config.model.preset} has no head of a masked language model; train a "
                "masked_lm run, and name that"
            )
        return Trained(task, assembled.preprocessor, assembled.model)


def _export_identity(folder: Path) -> dict[str, Any]:
    """Of which run an export is, and which version of it."""
    files = sorted(folder.glob("**/assets.extra/kerasft.json"), key=lambda file: file.parts[-3].zfill(20))
    if not files:
        return {}
    return {"version": files[-1].parts[-3], "run": json.loads(files[-1].read_text(encoding="utf-8")).get("run")}
