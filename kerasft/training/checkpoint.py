"""The whole state of a training run in one checkpoint, and the best weights in another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf


class Progress(tf.train.experimental.PythonState):
    """What a run knows beside its variables: losses, validations, the best of them, what it took.

    Attributes:
        history: rows of the learning curves, JSON-able.
        best: {"step", "value"} of the best validation so far, or empty.
        waited: validations since then.
        validated: the step of the last validation.
        spent: seconds, examples, tokens.
    """

    KEPT = ("history", "best", "waited", "validated", "spent")

    def __init__(self):
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}
        self.waited = 0
        self.validated = 0
        self.spent = {"seconds": 0.0, "step_seconds": 0.0, "examples": 0, "tokens": 0}

    def serialize(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.KEPT}, default=_plain)

    def deserialize(self, string_value: bytes) -> None:
        # only names of ours: a checkpoint is data, and must not set what it likes
        for name, value in json.loads(string_value).items():
            if name in self.KEPT:
                setattr(self, name, value)


class Checkpoints:
    """Writes and restores a run's state.

    TensorFlow writes a checkpoint's data first and its index last, with a checksum for each tensor, and
    `checkpoint` names the newest only when both are there: an interrupted write leaves the one before.

    Args:
        folder: `checkpoints/` of a run.
        model: its weights and the states of its random seeds are kept.
        optimizer: built.
        keep: how many checkpoints stay.
    """

    def __init__(self, folder: Path, model: keras.Model, optimizer: keras.optimizers.Optimizer, keep: int):
        self.progress = Progress()
        self.model, self.optimizer = model, optimizer
        state = _state(model.variables) | {"progress": self.progress}
        whole = tf.train.Checkpoint(model=_Group(state), optimizer=_Group(_state(optimizer.variables)))
        self.manager = tf.train.CheckpointManager(whole, str(folder), max_to_keep=keep)
        weights = tf.train.Checkpoint(model=_Group(_state(model.weights)))
        self.best = tf.train.CheckpointManager(weights, str(folder / "best"), max_to_keep=1)

    @property
    def step(self) -> int:
        return int(keras.ops.convert_to_numpy(self.optimizer.iterations))

    def save(self) -> str:
        return self.manager.save(checkpoint_number=self.step)

    def save_best(self) -> None:
        """Keeps the weights as they stand: those of the moving average while they are swapped in."""
        self.best.save(checkpoint_number=self.step)

    def restore(self) -> bool:
        """Continues from the newest checkpoint; False where there is none."""
        if self.manager.latest_checkpoint is None:
            return False
        self.manager.checkpoint.restore(self.manager.latest_checkpoint).assert_consumed()
        return True

    def restore_best(self) -> None:
        if self.best.latest_checkpoint is not None:
            self.best.checkpoint.restore(self.best.latest_checkpoint).assert_existing_objects_matched()


class _Group(tf.Module):
    """Holds variables under given names."""

    def __init__(self, members: dict[str, Any]):
        super().__init__()
        self.members = members


def _state(variables: list[keras.Variable]) -> dict[str, Any]:
    # by position, since names of layers depend on what else the process has built
    return {f"v{i}": v.value if isinstance(v, keras.Variable) else v for i, v in enumerate(variables)}


def _plain(value: Any) -> Any:
    return value.item()  # a NumPy number
