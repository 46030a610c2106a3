"""The weights of a run at the checkpoints that it kept, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.runs import Run
from kerasft.training.checkpoints.checkpoint_files import CheckpointStore, Entry
from kerasft.training.checkpoints.checkpoint_folder import checkpoint_folder

FEWEST = 2
_VALUE, _STATE = "/.ATTRIBUTES/VARIABLE_VALUE", "/.ATTRIBUTES/PYTHON_STATE"
_MODEL = "model/members/"


class KeptWeights:
    """The checkpoints of a run, of which some, evenly over the training, are looked at.

    Args:
        run: finished.
        model: made like the run's; its weights are changed while `each` goes on, and put back at its end.
        most: checkpoints.

    Raises:
        UserError: there are fewer than FEWEST, or they hold other weights than the model has.
    """

    def __init__(self, run: Run, model: keras.Model, most: int):
        self.model = model
        entries, _ = CheckpointStore(checkpoint_folder(run), tf.train.Checkpoint(), 1).entries()
        entries = sorted(entries, key=lambda entry: entry.step)
        if len(entries) < FEWEST:
            raise UserError(
                f"{run.folder}: {len(entries)} of its checkpoints are kept, and influence is summed over several; "
                "train with training.checkpoint.keep: 6 and, if there are few epochs, training.checkpoint.every_steps"
            )
        places = np.unique(np.linspace(0, len(entries) - 1, min(most, len(entries))).round().astype(int))
        self.entries: list[Entry] = [entries[place] for place in places]
        self._history = self._rates(entries[-1])
        self._names = self._variables(self.entries[0])

    def each(self) -> Iterator[float]:
        """Gives the model the weights of each checkpoint, and yields the learning rate there."""
        before = self.model.get_weights()
        try:
            for entry in self.entries:
                reader = tf.train.load_checkpoint(entry.prefix)
                self.model.set_weights([reader.get_tensor(name) for name in self._names])
                yield self._rate(entry.step)
        finally:
            self.model.set_weights(before)

    def _variables(self, entry: Entry) -> list[str]:
        """The names of the model's weights in a checkpoint, in its order; states of random seeds are left out."""
        reader = tf.train.load_checkpoint(entry.prefix)
        shapes, kinds = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        numbers = sorted(
            int(name.removeprefix(f"{_MODEL}v").removesuffix(_VALUE))
            for name in shapes
            if name.startswith(f"{_MODEL}v") and name.endswith(_VALUE)
        )
        names = [f"{_MODEL}v{number}{_VALUE}" for number in numbers]
        names = [name for name in names if kinds[name].is_floating]
        if [tuple(shapes[name]) for name in names] != [tuple(weight.shape) for weight in self.model.weights]:
            raise UserError(
                f"{entry.prefix} has other weights than the model: influence takes runs that train all of them "
                "(model.trainable: all, model.peft: null)"
            )
        return names

    def _rates(self, entry: Entry) -> list[tuple[int, float]]:
        """(step, learning rate) of the run's curves, as its newest checkpoint tells them."""
        reader = tf.train.load_checkpoint(entry.prefix)
        name = next((key for key in reader.get_variable_to_shape_map() if key.startswith(f"{_MODEL}progress")), None)
        if name is None:
            return []
        state: dict[str, Any] = json.loads(reader.get_tensor(name))
        return [(row["step"], row["learning_rate"]) for row in state["history"] if row.get("learning_rate") is not None]

    def _rate(self, step: int) -> float:
        """The learning rate at the newest row of the curves up to a step."""
        known = [rate for at, rate in self._history if at <= step]
        return known[-1] if known else (self._history[0][1] if self._history else 1.0)
