"""A config's preset as it is, before any training, to be measured and asked like a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasft.config.load import load_config, read_config
from kerasft.config.peft_rows import RowsConfig
from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.models.presets.positions import fit_max_length
from kerasft.models.presets.presets import resolve_preset
from kerasft.prompting.label_requests import label_list
from kerasft.runs import Trained
from kerasft.tasks.registry import create_task


@dataclass(frozen=True)
class Untrained:
    """Stands where a `Run` does: a config, a state and `load`."""

    config: Config
    preset: str

    @classmethod
    def open(cls, path: Path, overrides: Sequence[str] = ()) -> Untrained:
        """Reads a config and finds its preset, without TensorFlow.

        Raises:
            UserError: the config is not valid, or its task has weights that mean nothing before training.
        """
        return cls.of(load_config(path, overrides), str(path))

    @classmethod
    def of(cls, config: Config, path: str) -> Untrained:
        """Finds a config's preset; `path` names the config in messages. Raises UserError as `open` does."""
        config = fit_max_length(config)
        task = create_task(config)
        task.check_config()
        if task.needs_training:
            run = Path(config.output.dir) / config.name
            raise UserError(f"{path}: {config.task.name} has to be trained first; give its run, such as {run}")
        if config.model.preset is None:
            raise UserError(f"{path}: model.preset is null: there is nothing to measure before training; train first")
        if isinstance(config.model.peft, RowsConfig) and config.model.peft.start is None:
            method = config.model.peft.method
            raise UserError(f"{path}: model.peft.method {method} is random before training; train first")
        return cls(config, resolve_preset(config.model.preset))

    def load_state(self) -> dict[str, Any]:
        """Nothing was learnt from data."""
        return {}

    def load(self) -> Trained:
        """The preset in float32 with the task's pooling."""
        from kerasft.assembly import assemble

        task = create_task(self.config)
        assembled = assemble(self.config, task, preset=self.preset)
        if assembled.method is not None and assembled.method.start is not None:
            assembled.method.merge()  # what training begins with
        return Trained(task, assembled.preprocessor, assembled.model)


def by_labels(preset: str, labels: str, template: str | None = None) -> Untrained:
    """A preset that classifies texts by names of labels, without a config: `kerasft predict PRESET --labels a,b`.

    Args:
        preset: as `model.preset`.
        labels: names, separated by commas.
        template: see `prompting.template`.

    Raises:
        UserError: there are fewer than two labels, or the preset can't be had.
    """
    names = label_list(labels)
    values = {
        "name": "labels",
        "task": {"name": "text_classification", "labels": names},
        "model": {"preset": preset},
        "data": {"columns": {"text": "text"}},
        "prompting": {"template": template},
    }
    return Untrained.of(read_config(values), preset)


def is_config(path: Path) -> bool:
    """Whether a command was given a config file rather than a run or a SavedModel."""
    return path.suffix in (".yaml", ".yml")
