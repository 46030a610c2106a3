"""Random numbers of an objective, which a run that goes on draws as if it had never stopped."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf


class Draws:
    """A function of the run's seed and of how often numbers were drawn; the count is a part of the checkpoints.

    Made in the strategy's scope.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int):
        self.generator = keras.random.SeedGenerator(seed)

    @property
    def variables(self) -> Sequence[keras.Variable]:
        """The state, for the checkpoints."""
        return (self.generator.state,)

    def evenly(self, shape: tf.Tensor) -> tf.Tensor:
        """float32 from -1 to 1."""
        return tf.random.stateless_uniform(shape, self._next(), -1.0, 1.0)

    def normal(self, shape: tf.Tensor) -> tf.Tensor:
        """float32 of mean 0 and deviation 1."""
        return tf.random.stateless_normal(shape, self._next())

    def _next(self) -> tf.Tensor:
        return tf.cast(self.generator.next(), tf.int32)
