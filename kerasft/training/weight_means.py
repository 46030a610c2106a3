"""Means of weights over the steps of a training: exponential (`training.ema`) or plain over the last ones (`swa`)."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from kerasft.config.schema import TrainingConfig


def share_kept(config: TrainingConfig, steps: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """In graph: the number of a step, from 0 -> which share of the mean stays when its weights are taken in.

    Until the first step that counts none stays, so that the mean is the weights themselves.

    Args:
        config: that keeps means.
        steps: all the steps of the run.
    """
    if config.averaging is None or config.averaging.name != "swa":
        momentum = config.ema or 0.0
        return lambda step: tf.where(step > 0, momentum, 0.0)
    first = config.averaging.first_step(steps)

    def plain(step: tf.Tensor) -> tf.Tensor:
        before = tf.cast(tf.maximum(step - first, 0), tf.float32)
        return before / (before + 1.0)

    return plain
