"""Where a run's checkpoints are: in its folder, or in one that outlives the machine (`training.checkpoint.dir`)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping

import tensorflow as tf

from kerasft.config.differences import check_same_config
from kerasft.data.tables.digests import fingerprints
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.runs import Run

MARK = "begun.json"


def checkpoint_folder(run: Run) -> str:
    """`checkpoints/` of the run's folder, or a folder of its name in `training.checkpoint.dir`."""
    elsewhere = run.config.training.checkpoint.dir
    return f"{elsewhere.rstrip('/')}/{run.config.name}" if elsewhere else str(run.folder / "checkpoints")


class CheckpointDir:
    """A folder of checkpoints outside the run's own, on any file system that TensorFlow writes to.

    `begun.json` in it says which config and data the checkpoints belong to: after a machine and its disk are gone,
    nothing else does.

    Args:
        run: of which the config names the folder; where it names none, methods do nothing.
        tables: every split.
    """

    def __init__(self, run: Run, tables: Mapping[str, Table]):
        self.run, self.outside = run, run.config.training.checkpoint.dir is not None
        self.folder = checkpoint_folder(run)
        self.mark = f"{self.folder}/{MARK}"
        self.data = fingerprints(tables)

    def begin(self, resume: bool, overwrite: bool) -> None:
        """Takes the folder for this run.

        Raises:
            UserError: it can't be written, holds something else, is another run's, or is a run's and neither resume nor
                overwrite is said.
        """
        if not self.outside:
            return
        with self._readable():
            if tf.io.gfile.exists(self.mark):
                if resume:
                    self._check_same()
                    return
                if not overwrite:
                    raise UserError(
                        f"training.checkpoint.dir: {self.folder} has the checkpoints of a run; choose another "
                        "name=..., or add --resume or --overwrite"
                    )
                tf.io.gfile.remove(self.mark)  # first: what is left, should it end here, is no run's to go on from
                tf.io.gfile.rmtree(self.folder)
            self._check_empty()
            tf.io.gfile.makedirs(self.folder)
            content = {"config": self.run.config.model_dump(mode="json"), "data": self.data}
            with tf.io.gfile.GFile(f"{self.mark}.tmp", "w") as file:
                file.write(json.dumps(content))
            tf.io.gfile.rename(f"{self.mark}.tmp", self.mark, overwrite=True)

    def _check_empty(self) -> None:
        """What no run has marked may be anything, so nothing of it is ever removed."""
        if not tf.io.gfile.isdir(self.folder):
            return
        names = [name for name in tf.io.gfile.listdir(self.folder) if f"{self.folder}/{name}" != f"{self.mark}.tmp"]
        if names:
            raise UserError(
                f"training.checkpoint.dir: {self.folder} holds {names[0]} and no mark of a run, {MARK}; choose another "
                "name=... or folder, or empty it"
            )

    def _check_same(self) -> None:
        with tf.io.gfile.GFile(self.mark) as file:
            content = json.loads(file.read())
        check_same_config(content["config"], self.run.config, self.folder)
        if content["data"] != self.data:
            raise UserError(f"{self.folder}: the data is not what its run began with; start again with --overwrite")

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (tf.errors.OpError, OSError, ValueError) as error:
            reason = str(getattr(error, "message", error)).split("\n")[0]
            raise UserError(
                f"training.checkpoint.dir: {self.folder}: {reason}; name a folder that can be written"
            ) from error
