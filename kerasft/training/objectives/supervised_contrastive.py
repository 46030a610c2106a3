"""Supervised contrastive loss: texts of one label are near each other (Gunel et al. 2020, arXiv:2011.01403)."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from kerasft.models.heads.embedding_losses import NEVER, of_all_replicas
from kerasft.models.heads.text_classifier import HEAD
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective

MOST_ROWS = 1 << 20  # of a replica's batch, so that a row of all replicas has one number


class SupervisedContrastive(Objective):
    """(1 - weight) * the task's loss + weight * a loss of each text among all texts of the batch.

    The vectors are those that the last layer reads, scaled to length 1. Rows of all replicas are compared; parts of a
    batch would not see each other.

    Args:
        model: features -> logits of labels, by a last layer named HEAD.
        task: each text has one label.
        weight: 0 is the task's loss.
        temperature: cosines are divided by it.
    """

    def __init__(self, model: keras.Model, task: Task, *, weight: float, temperature: float):
        super().__init__(model, task)
        self.weight, self.temperature = weight, temperature
        self.both = keras.Model(model.input, [model.get_layer(HEAD).input, model.output])

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        if not self.weight:
            return self.task.loss_sum(targets, self.logits(inputs), weights)
        vectors, logits = self.outputs(self.both, inputs)
        near = among_all(targets, tf.cast(vectors, tf.float32), weights, self.temperature)
        return (1 - self.weight) * self.task.loss_sum(targets, logits, weights) + self.weight * tf.reduce_sum(
            near * weights
        )


class Contrastive(SupervisedContrastive):
    """The loss of the vectors alone, `training.contrastive`: the last layer learns nothing, it is fitted afterwards.

    A batch of n texts compares n (n - 1) / 2 pairs for n passes of the backbone, where a loss of pairs takes two passes
    a pair (SetFit, Tunstall et al. 2022, arXiv:2209.11055).

    Args: those of `SupervisedContrastive` without a weight.
    """

    def __init__(self, model: keras.Model, task: Task, *, temperature: float):
        super().__init__(model, task, weight=1.0, temperature=temperature)

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        vectors, _ = self.outputs(self.both, inputs)
        return tf.reduce_sum(among_all(targets, tf.cast(vectors, tf.float32), weights, self.temperature) * weights)


def among_all(labels: tf.Tensor, vectors: tf.Tensor, weights: tf.Tensor, temperature: float) -> tf.Tensor:
    """The mean, over the other texts with a text's label, of -log of their share of its likeness to all others.

    Khosla et al. 2020, arXiv:2004.11362, equation 2.

    Args:
        labels: (batch,).
        vectors: (batch, hidden) float32 of any length.
        weights: (batch,); 0: no text to be compared with.
        temperature: cosines are divided by it.

    Returns:
        (batch,), 0 where no other text has the label.
    """
    context, unit = tf.distribute.get_replica_context(), tf.math.l2_normalize(vectors, -1)
    replica = 0 if context is None else context.replica_id_in_sync_group
    rows = tf.cast(replica, tf.int32) * MOST_ROWS + tf.range(tf.shape(labels)[0])
    all_rows, all_labels, all_unit, all_weights = (of_all_replicas(each) for each in (rows, labels, unit, weights))
    others = (rows[:, None] != all_rows[None]) & (all_weights > 0)[None]  # (batch, all)
    cosines = tf.where(others, tf.matmul(unit, all_unit, transpose_b=True) / temperature, NEVER)
    surprise = tf.reduce_logsumexp(cosines, -1, keepdims=True) - cosines  # (batch, all)
    same = tf.cast(others & (labels[:, None] == all_labels[None]), tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(surprise * same, -1), tf.reduce_sum(same, -1))
