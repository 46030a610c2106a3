"""An export, loaded again in this process: what TensorFlow Serving would answer, without a server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.config.schema import Config
from kerasft.drafts import remove_abandoned
from kerasft.errors import UserError
from kerasft.paths import check_no_pattern
from kerasft.prompting.label_requests import SIGNATURE, labels_text
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


def is_export(folder: Path) -> bool:
    """Whether that is saved_models/NAME, or a version of it."""
    return (folder / "saved_model.pb").is_file() or any(
        path.parent.name.isdigit() for path in folder.glob("*/saved_model.pb")
    )


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
        labels: of the requests that it is to answer; none: those of the model.
    """

    folder: Path
    task: Task
    trust: bool = False
    signature: str = DEFAULT
    labels: tuple[str, ...] = ()
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
        if self.signature not in loaded.signatures:
            raise UserError(f"{self.folder}: this export has no signature {self.signature}; export the run again")
        return Servable(self.task, loaded.signatures[self.signature], loaded, self.labels)

    def by_labels(self, labels: Sequence[str]) -> Export:
        """The same answering by other labels. Raises UserError where the export was made without `export.labels`."""
        if not self.config.export.labels:
            raise UserError(f"--labels: {self.folder} has labels of its own alone; export it with export.labels: true")
        task = create_task(self.config, {**self.task.state, "labels": list(labels)})
        return replace(self, task=task, signature=SIGNATURE, labels=tuple(labels))


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
        labels: that each request names; none: its signature takes none.
    """

    task: Task
    signature: Any
    loaded: Any
    labels: tuple[str, ...] = ()

    def answer(self, columns: Mapping[str, list[str]]) -> dict[str, np.ndarray]:
        """String columns -> what the signature answers."""
        import tensorflow as tf

        texts = {name: tf.constant(columns[name], tf.string) for name in self.task.inputs}
        if self.labels:
            texts[SIGNATURE] = tf.fill([len(columns[self.task.inputs[0]])], labels_text(self.labels))
        outputs = self.signature(**texts)
        return {name: value.numpy() for name, value in outputs.items()}

    def ask(self, key: str, columns: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """{input: (batch,)} -> what another signature answers. Raises UserError where it is not there."""
        import tensorflow as tf

        if key not in self.loaded.signatures:
            raise UserError(f"{self.task.config.name}: this export has no signature {key}; export the run again")
        outputs = self.loaded.signatures[key](**{name: tf.constant(values) for name, values in columns.items()})
        return {name: value.numpy() for name, value in outputs.items()}
