"""The loss of DER++ (Buzzega et al. 2020, arXiv:2004.07211)."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective


class StoredLogits(Objective):
    """The task's loss, and the distance from logits that were stored.

    The loss of an example is labels * task's loss + distance * mean over the known classes of (stored - logit)^2, where
    `labels` and `distance` are numbers of the example: (1, 0) of a new row, (0, alpha) of the first draw of kept rows,
    (beta, 0) of the second. Each third of an epoch has as many rows, so that the gradient of a step is, in the mean,
    a third of that of DER++, whose three terms are means over batches of their own.

    Args:
        model: features -> (batch, classes); the first classes are those of the stored logits, in their order.
        task: of the run.
        beside: `stored` and `known` (rows, old classes), the logits and whether there was such a class then; `labels`
            and `distance` (rows,); of the rows of the training split in their order.
    """

    def __init__(self, model: keras.Model, task: Task, *, beside: Mapping[str, np.ndarray]):
        super().__init__(model, task)
        self.arrays = beside

    def beside_targets(self, train: Prepared) -> Mapping[str, np.ndarray]:
        return self.arrays

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        logits = self.logits(inputs)
        stored, known = self.beside(inputs, "stored"), self.beside(inputs, "known")
        old = tf.cast(logits, tf.float32)[:, : stored.shape[1]]  # (batch, classes) -> (batch, old classes)
        squares = tf.reduce_sum(known * tf.square(stored - old), 1)  # -> (batch,)
        distance = tf.math.divide_no_nan(squares, tf.reduce_sum(known, 1))
        losses = self.beside(inputs, "labels") * self.task.loss(targets, logits)
        return tf.reduce_sum(weights * (losses + self.beside(inputs, "distance") * distance))
