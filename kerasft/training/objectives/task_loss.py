"""The loss of the task, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from kerasft.training.objectives.base import Objective


class TaskLoss(Objective):
    """What a run minimises where nothing else is said."""

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return self.task.loss_sum(targets, self.logits(inputs), weights)
