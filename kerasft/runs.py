"""A run directory: the resolved config, checkpoints, the trained model, metrics, predictions and report.

    runs/NAME/config.yaml  data.json  cleaning.json  run.json  checkpoints/  tensorboard/  model/  metrics.json
    reference.json  predictions/  report.html  finished.json

TensorFlow is imported only where a model is saved or loaded.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import signal
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.atomic import write_atomically, write_folder
from kerasft.config.differences import check_same_config
from kerasft.config.folders import check_folders
from kerasft.config.load import dump_config, load_config
from kerasft.config.schema import Config
from kerasft.console.signals import ENDS, terminable
from kerasft.data.tables.digests import changed_data, fingerprints
from kerasft.errors import StorageError, UserError
from kerasft.invocation import command, training_command
from kerasft.models.presets.facts import facts_file
from kerasft.paths import check_home
from kerasft.run_folder import check_free, check_replaceable, hold, put_in_place, put_right, release, remove_leftovers
from kerasft.tasks.base import Task

if TYPE_CHECKING:
    import keras
    import numpy as np

    from kerasft.assembly import Assembled
    from kerasft.data.tables.table import Table

IDENTITY = "run.json"
LINEAGE = "lineage.json"  # of a stage of continual learning: what it comes from
AUDIT = "audit"  # the folder that `kerasft audit` leaves in a run
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)


@dataclass(frozen=True)
class Run:
    """One run on disk."""

    folder: Path
    config: Config

    @classmethod
    def plan(cls, config: Config, overwrite: bool = False, resume: bool = False) -> Run:
        """Where the run will be. Nothing is written; what a killed process left of a run there is put right.

        Raises:
            UserError: the run exists, can't be resumed or replaced, or a folder can't be written.
        """
        check_home()
        if config.data.folds is not None:
            raise UserError(f"data.folds: {config.data.folds} runs; kerasft train alone trains them; or set it to null")
        if config.data.draws > 1:
            raise UserError(f"data.draws: {config.data.draws} are as many runs, of kerasft train; here set it to 1")
        check_folders(config)
        run = cls(Path(config.output.dir) / config.name, config)
        put_right(run.folder)
        if resume:
            run._check_resumable()
        elif run.folder.exists():
            check_replaceable(run.folder, overwrite)
        check_free(run.folder)
        return run

    @classmethod
    def is_at(cls, folder: Path) -> bool:
        """Whether there is a run in a folder, put back first if a killed --overwrite has left it under another name."""
        put_right(folder)
        return (folder / "config.yaml").is_file()

    @classmethod
    def open(cls, folder: Path) -> Run:
        """A run that has a trained model."""
        run = cls.begun(folder)
        if not facts_file(folder / "model").is_file():
            raise UserError(f"{folder} has no trained model yet; finish it with --resume")
        return run

    @classmethod
    def begun(cls, folder: Path) -> Run:
        """A run that has at least begun."""
        check_home()
        if not cls.is_at(folder):
            raise UserError(f"{folder} is not a run: it has no config.yaml")
        return cls(folder, load_config(folder / "config.yaml", []))

    def begin(self, tables: Mapping[str, Table], resume: bool = False, overwrite: bool = False, **files: Any) -> None:
        """Makes the folder, whole or not at all, with `files` as NAME.json; or checks a resumed run's data.

        From here on the folder is this process's, until `interruptible` or the process ends.

        Raises:
            UserError: the data is another, another process works in the folder, or it is there and not to be replaced.
        """
        identity = json.dumps({"id": uuid.uuid4().hex})
        if resume and self.folder.exists():
            hold(self.folder)
            self.check_data(tables)
            remove_leftovers(self.folder)
            if not (self.folder / IDENTITY).exists():  # of before there was one
                write_atomically(self.folder / IDENTITY, identity)
            return
        values = {**files, "data": fingerprints(tables)}
        texts = {f"{name}.json": json.dumps(value, indent=2) for name, value in values.items()}
        put_in_place(self.folder, {"config.yaml": dump_config(self.config), IDENTITY: identity, **texts}, overwrite)

    def identity(self) -> dict[str, str] | None:
        """Which run its model is of: no other has the same. None for runs of before there was one."""
        content, metrics = self.load_json(IDENTITY), self.load_json("metrics.json")
        if content is None or metrics is None:
            return None
        return {"id": content["id"], "sha256": metrics["training"]["sha256"]}

    def check_data(self, tables: Mapping[str, Table]) -> None:
        """Raises UserError where the data is not what the run began with."""
        before, now = json.loads((self.folder / "data.json").read_text(encoding="utf-8")), fingerprints(tables)
        if changed := changed_data(before, now):
            raise UserError(f"data.{changed[0]}: the data is not what {self.folder} began with; start again")

    def own_data(self) -> dict[str, str]:
        """Digests of the splits that its config names; a stage of continual learning is measured on others, too."""
        return (self.load_json(LINEAGE) or {}).get("data") or self.load_json("data.json") or {}

    def end(self) -> None:
        """The last thing of a run: from here on there is nothing to resume."""
        self.write_json("finished.json", {"finished": True})

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and SIGHUP say what there is by then and how to go on; so does a disk that is full."""
        with terminable():
            try:
                yield
            except KeyboardInterrupt as error:
                kind, word = ENDS[error.args[0] if error.args else signal.SIGINT]
                raise kind(f"{word}; {self._how_to_go_on()}") from None
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                raise StorageError(
                    f"{error.filename or self.folder}: {error.strerror}; fix that, then {self._how_to_go_on()}"
                ) from error
            finally:
                release(self.folder)

    def _how_to_go_on(self) -> str:
        config = self.folder / "config.yaml"
        if (self.folder / "metrics.json").is_file():
            return f"the run is complete but not exported; to export: {command('export', self.folder)}"
        if self.config.training.checkpoint.dir or list(self.folder.glob("checkpoints/*.json")):
            return f"to go on from the newest checkpoint: {training_command(config, '--resume')}"
        return f"nothing was trained; to start again: {training_command(config, '--overwrite')}"

    def write_json(self, name: str, value: Any) -> Path:
        return write_atomically(self.folder / name, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))

    def write_predictions(self, split: str, rows: Iterable[Mapping[str, Any]]) -> Path:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return write_atomically(self.folder / "predictions" / f"{split}.jsonl", lines)

    def save_model(self, assembled: Assembled, task: Task) -> Path:
        """Writes model/: the parts of a model, see `kerasft.assembly`."""
        from kerasft.assembly import save_model

        folder = self.folder / "model"
        with write_folder(folder) as draft:
            save_model(assembled, task, draft)
        return folder

    def load_state(self) -> dict[str, Any]:
        """What the task learnt from data."""
        return json.loads(facts_file(self.folder / "model").read_text(encoding="utf-8"))["state"]

    def load_json(self, name: str) -> Any:
        """What `write_json` wrote; None where there is no such file, as in runs of before there was one."""
        file = self.folder / name
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None

    def load(self) -> Trained:
        """The trained model in float32, as it is evaluated, predicts and is exported."""
        from kerasft.assembly import load_model
        from kerasft.tasks.registry import create_task

        task = create_task(self.config, self.load_state())
        assembled = load_model(self.folder / "model", task)
        return Trained(task, assembled.preprocessor, assembled.model)

    def _check_resumable(self) -> None:
        """A run that was killed before it had a checkpoint, or a folder, begins with its first step."""
        if not self.folder.exists():
            return
        if not (self.folder / "config.yaml").is_file():
            raise UserError(f"{self.folder} is not a run: it has no config.yaml; choose another name=...")
        if (self.folder / "finished.json").is_file():
            raise UserError(f"{self.folder} is finished; there is nothing to resume")
        check_same_config(
            load_config(self.folder / "config.yaml", []).model_dump(mode="json"), self.config, self.folder
        )


@dataclass(frozen=True)
class Trained:
    """A model with everything that turns strings into answers."""

    task: Task
    preprocessor: Any
    model: keras.Model

    def answer(self, columns: Mapping[str, list[str]]) -> dict[str, np.ndarray]:
        """String columns -> what the served model would answer, as NumPy arrays."""
        import tensorflow as tf

        texts = {name: tf.constant(columns[name], tf.string) for name in self.task.inputs}
        return {name: value.numpy() for name, value in self._function(texts).items()}

    def trace(self) -> None:
        """Makes the graph of `answer` now, of the layers as they are at this moment."""
        self._function.get_concrete_function()

    @functools.cached_property
    def _function(self) -> Any:
        import tensorflow as tf

        names = self.task.inputs  # one graph for every number and length of texts

        @tf.function(input_signature=[{name: tf.TensorSpec([None], tf.string) for name in names}], autograph=False)
        def answer(texts):
            return self.task.answer(self.model, self.preprocessor(texts))

        return answer
