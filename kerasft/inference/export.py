"""An export, loaded again in this process: what TensorFlow Serving would answer, without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.config.schema import Config
from kerasft.drafts import remove_abandoned
from kerasft.errors import UserError
from kerasft.paths import check_no_pattern
from kerasft.serving.adapter_facts import DEFAULT, KEY
from kerasft.serving.outside_ops import check_trusted
from kerasft.serving.version_folder import DRAFT, SERVABLE
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

if TYPE_CHECKING:
    import numpy as np


def find_version(folder: Path) -> Path:
    """saved_models/NAME -> its newest version, as TensorFlow Serving chooses; a version folder -> itself.

    Raises:
        UserError: neither is there, or TensorFlow would read the path as a pattern.
    """
    check_no_pattern(folder, "SavedModel")
    if (folder / "saved_model.pb").is_file():
        return folder
    versions = [path for path in folder.glob("*/saved_model.pb") if path.parent.name.isdigit()]
    if not versions:
        raise UserError(f"{folder} is neither a run (config.yaml) nor a SavedModel (VERSION/saved_model.pb)")
    return max((path.parent for path in versions), key=lambda path: int(path.name))


def find_export(folder: Path, run: Mapping[str, str] | None) -> Path | None:
    """The newest version in saved_models/NAME of the model that `Run.identity` names; None: there is none."""
    if run is None:
        return None
    files = folder.glob("*/assets.extra/kerasft.json")
    for file in sorted((file for file in files if file.parts[-3].isdigit()), key=lambda file: -int(file.parts[-3])):
        try:
            identity = json.loads(file.read_text(encoding="utf-8")).get("run")
        except (OSError, ValueError, AttributeError):  # not one of ours
            continue
        if identity == run:
            return file.parent.parent
    return None


def remove_drafts(directory: Path) -> list[Path]:
    """Removes what exports that were killed left in `saved_models/NAME`; those that are under way stay."""
    return remove_abandoned(directory, DRAFT, {SERVABLE})


@dataclass(frozen=True)
class Export:
    """An export on disk and the task it was made for; TensorFlow is not needed to read it.

    Attributes:
        folder: of the version.
        task: that it answers.
        trust: the user vouches for it, so that it may reach out of its graph, see `serving/outside_ops.py`.
        signature: that answers: the name of an adapter where the export has several.
        run: which run it is of, as `Run.identity` has it; None: nobody knows.
    """

    folder: Path
    task: Task
    trust: bool = False
    signature: str = DEFAULT
    run: Mapping[str, str] | None = None

    def identity(self) -> Mapping[str, str] | None:
        """Of the run that it is the export of."""
        return self.run

    @property
    def config(self) -> Config:
        return self.task.config

    @classmethod
    def open(cls, folder: Path, trust: bool = False) -> Export | AdaptersExport:
        """Raises UserError where the folder was not written by kerasft."""
        file = find_version(folder) / "assets.extra" / "kerasft.json"
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
            version = file.parent.parent
            if adapters := facts.get(KEY):
                of_adapters = {name: cls(version, _task(each), trust, name) for name, each in adapters.items()}
                return AdaptersExport(version, of_adapters)
            return cls(version, _task(facts), trust, run=facts.get("run"))
        except (OSError, ValueError, KeyError, AttributeError) as error:
            reason = type(error).__name__
            raise UserError(f"{file}: not an export of kerasft ({reason}); export the run again") from error

    def load(self) -> Servable:
        """Loads the graph and its weights.

        Raises:
            ServableError: it would read or write files, or the like, and nobody vouches for it.
        """
        import tensorflow as tf
        import tensorflow_text  # noqa: F401  registers the tokenizers' ops

        check_trusted(self.folder, self.trust)
        loaded = tf.saved_model.load(str(self.folder), tags=["serve"])
        return self.of(loaded)

    def of(self, loaded: Any) -> Servable:
        """The same of a SavedModel that is loaded already."""
        return Servable(self.task, loaded.signatures[self.signature], loaded)


@dataclass(frozen=True)
class AdaptersExport:
    """An export of a base and several adapters.

    Attributes:
        folder: of the version.
        exports: each adapter as an export of its own.
    """

    folder: Path
    exports: Mapping[str, Export]

    def one(self, adapter: str) -> Export:
        """One adapter. Raises UserError where it is not there."""
        if adapter not in self.exports:
            raise UserError(f"{self.folder}: there is no adapter {adapter!r}; there are {', '.join(self.exports)}")
        return self.exports[adapter]

    def load(self) -> dict[str, Servable]:
        """All adapters of one graph. Raises ServableError as `Export.load` does."""
        first = next(iter(self.exports.values())).load()
        return {name: export.of(first.loaded) for name, export in self.exports.items()}


def _task(facts: Mapping[str, Any]) -> Task:
    return create_task(Config.model_validate(facts["config"]), facts["state"])


@dataclass(frozen=True)
class Servable:
    """A loaded SavedModel.

    Attributes:
        task: turns its answers into rows.
        signature: `serving_default`.
        loaded: keeps the variables alive.
    """

    task: Task
    signature: Any
    loaded: Any

    def answer(self, columns: Mapping[str, list[str]]) -> dict[str, np.ndarray]:
        """String columns -> what the signature answers."""
        import tensorflow as tf

        outputs = self.signature(**{name: tf.constant(columns[name], tf.string) for name in self.task.inputs})
        return {name: value.numpy() for name, value in outputs.items()}

    def ask(self, key: str, columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """{input: (batch,)} -> what another signature answers. Raises UserError where it is not there."""
        import tensorflow as tf

        if key not in self.loaded.signatures:
            raise UserError(f"{self.task.config.name}: this export has no signature {key}; export the run again")
        outputs = self.loaded.signatures[key](**{name: tf.constant(values) for name, values in columns.items()})
        return {name: value.numpy() for name, value in outputs.items()}
