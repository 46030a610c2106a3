"""Options of a class' `from_preset` -> the config of its task, and back from what was saved; without TensorFlow."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kerasft.atomic import write_atomically
from kerasft.config.load import read_config
from kerasft.config.references import escape_references
from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.models.presets.facts import facts_file
from kerasft.models.presets.positions import fit_max_length
from kerasft.quoting import quoted
from kerasft.runs import Run
from kerasft.tasks.registry import TASKS

FILE = "kerasft_model.json"  # beside the weights of a model that was saved from Python
MODEL, TRAINING = ("max_length", "dropout", "trainable"), ("label_smoothing", "class_weights")
OWN = ("seed", "dtype")
DTYPES = ("float32", "mixed_bfloat16")
HERE = "python"  # stands for the name, the preset and the data of a config that has none of them


@dataclass(frozen=True)
class Settings:
    """All that a model is made of but its weights and what it learnt from data.

    Attributes:
        task: a name of `kerasft.tasks.registry.TASKS`.
        roles: of the columns of an example, such as `text` and `label`.
        options: as a user gives them: keys of the task's section, `max_length`, `dropout`, `trainable`,
            `label_smoothing`, `class_weights`, `seed`, `dtype`.
        preset: as a user names it.
        preprocessed: features are given, not strings.
        learnt: the task has seen training data.
    """

    task: str
    roles: tuple[str, ...]
    options: Mapping[str, Any]
    preset: str = HERE
    preprocessed: bool = False
    learnt: bool = False

    @property
    def dtype(self) -> str:
        """The dtype policy."""
        return self.options.get("dtype", DTYPES[0])

    def config(self) -> Config:
        """The config of a run with these settings, with as many tokens as the preset has positions.

        Raises:
            UserError: an option is unknown, or has another kind of value.
        """
        known = sorted({*TASKS[self.task].section_keys(), *MODEL, *TRAINING, *OWN} - {"name"})
        for name in self.options:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                told = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
                raise UserError(f"there is no option {quoted(name)}; {told}")
        if self.dtype not in DTYPES:
            raise UserError(f"dtype: {quoted(self.dtype)}; use {' or '.join(DTYPES)}")

        def chosen(names: Sequence[str]) -> dict[str, Any]:
            return {name: value for name, value in self.options.items() if name in names}

        task = chosen([name for name in known if name not in (*MODEL, *TRAINING, *OWN)])
        values = {
            "name": HERE,
            "seed": self.options.get("seed", 0),
            "task": {"name": self.task, **task},
            "model": {"preset": self.preset, **chosen(MODEL)},
            "data": {"train": HERE, "columns": {role: role for role in self.roles}},
            "training": chosen(TRAINING),
        }
        config = read_config(escape_references(values))
        return config if self.preset == HERE else fit_max_length(config)

    def fitted(self) -> Settings:
        """With the lengths that fit the preset, which need not be there when the model is loaded again."""
        config = self.config()
        lengths = {name: getattr(config.task, name) for name in config.task.half_at_most}
        return replace(self, options={**self.options, **lengths, "max_length": config.model.max_length})

    def as_json(self) -> dict[str, Any]:
        """As `of_json` reads them."""
        return {
            "task": self.task,
            "roles": list(self.roles),
            "options": json.loads(json.dumps(dict(self.options))),
            "preset": self.preset,
            "preprocessed": self.preprocessed,
            "learnt": self.learnt,
        }

    @classmethod
    def of_json(cls, saved: Mapping[str, Any]) -> Settings:
        """What `as_json` gave."""
        return cls(**{**saved, "roles": tuple(saved["roles"])})


def save_settings(settings: Settings, folder: Path) -> None:
    """Writes them beside a saved model."""
    write_atomically(folder / FILE, json.dumps(settings.as_json(), indent=2, ensure_ascii=False))


def saved_settings(resolved: str, task: str) -> Settings | None:
    """Those of a trained model of this task; None: the preset is none.

    Args:
        resolved: what `resolve_preset` returned: the folder of `save_to_preset`, a run's `model/`, or any other.
        task: a name of `kerasft.tasks.registry.TASKS`.
    """
    folder = Path(resolved)
    if "://" in resolved or not facts_file(folder).is_file():
        return None
    if json.loads(facts_file(folder).read_text(encoding="utf-8"))["task"] != task:
        return None
    if (folder / FILE).is_file():
        return Settings.of_json(json.loads((folder / FILE).read_text(encoding="utf-8")))
    return _of_run(Run.open(folder.parent).config) if Run.is_at(folder.parent) else None


def _of_run(config: Config) -> Settings:
    """Those of a run, whose dropout its backbone has."""
    options = config.task.model_dump(mode="json", exclude={"name"}) | {"max_length": config.model.max_length}
    training = {name: getattr(config.training, name) for name in TRAINING if getattr(config.training, name)}
    options |= training | {"seed": config.seed}
    return Settings(config.task.name, tuple(config.data.columns), options, learnt=True)
