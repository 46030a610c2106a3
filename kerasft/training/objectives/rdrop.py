"""R-Drop: two passes of the same rows with different dropout shall agree (Liang et al. 2021, arXiv:2106.14448)."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.blocks import drops
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective


class RDrop(Objective):
    """The mean of the task's loss of two passes, and alpha times how far their outputs differ.

    That is the mean of both Kullback-Leibler divergences (`Task.divergence`), of each row weighted as its loss is.

    Args:
        model: features -> logits, with dropout.
        task: can compare two outputs.
        alpha: 0 is the task's loss, of one pass.

    Raises:
        UserError: the model has no dropout, so that both passes are the same.
    """

    def __init__(self, model: keras.Model, task: Task, *, alpha: float):
        super().__init__(model, task)
        self.alpha = alpha
        if alpha and not drops(model):
            raise UserError(
                "training.objective.name: rdrop compares two draws of dropout, and this preset has none; set "
                "model.dropout, such as 0.1"
            )

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        one = self.logits(inputs)
        if not self.alpha:
            return self.task.loss_sum(targets, one, weights)
        other = self.logits(inputs)
        of_task = 0.5 * (self.task.loss_sum(targets, one, weights) + self.task.loss_sum(targets, other, weights))
        return of_task + self.alpha * tf.reduce_sum(self.task.divergence(targets, one, other) * weights)
