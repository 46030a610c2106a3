"""Focal loss: what the model already knows counts less (Lin et al. 2017, arXiv:1708.02002)."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective

LEAST = 1e-7  # of what is raised to a power, whose gradient at 0 is none for powers below 1


class Focal(Objective):
    """The cross-entropy -log p of each text, label or token with a target, times (1 - p)^gamma.

    p is the probability of the truth: of the one class that is true, or of each label being as it is. Sums and means
    over labels and tokens are those of the task's loss.

    Args:
        model: features -> logits.
        task: its logits are scores of classes of which one is true, or of labels.
        gamma: 0 is the task's loss.
    """

    def __init__(self, model: keras.Model, task: Task, *, gamma: float):
        super().__init__(model, task)
        self.gamma = gamma

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        logits = self.logits(inputs)
        if not self.gamma:
            return self.task.loss_sum(targets, logits, weights)
        of_one = self.task.one_of_many
        return tf.reduce_sum((_of_classes if of_one else _of_labels)(targets, logits, self.gamma) * weights)


def focused(log_truth: tf.Tensor, gamma: float) -> tf.Tensor:
    """(...) log p of the truth -> (...) (1 - p)^gamma * -log p."""
    missing = tf.maximum(-tf.math.expm1(log_truth), LEAST)  # 1 - p
    return -tf.pow(missing, gamma) * log_truth


def _of_classes(targets: tf.Tensor, logits: tf.Tensor, gamma: float) -> tf.Tensor:
    """(batch,) or (batch, length) targets, logits with classes behind -> (batch,)."""
    log_probabilities = tf.nn.log_softmax(tf.cast(logits, tf.float32))
    # A class that the model does not have, such as "out of scope", has weight 0: its row is all zeros here.
    each = focused(tf.reduce_sum(log_probabilities * tf.one_hot(targets, tf.shape(logits)[-1]), -1), gamma)
    if each.shape.rank == 1:
        return each
    real = tf.cast(targets >= 0, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(each * real, 1), tf.reduce_sum(real, 1))


def _of_labels(targets: tf.Tensor, logits: tf.Tensor, gamma: float) -> tf.Tensor:
    """(batch, labels) targets, 1: true, and logits -> (batch,)."""
    signs = 2.0 * tf.cast(targets, tf.float32) - 1.0
    return tf.reduce_sum(focused(tf.math.log_sigmoid(signs * tf.cast(logits, tf.float32)), gamma), -1)
