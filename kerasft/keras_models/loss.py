"""The loss of a task's batch, as Keras' training step wants it."""

from __future__ import annotations

import tensorflow as tf

from kerasft.tasks.base import Task


def mean_loss(task: Task, targets: tf.Tensor, outputs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The weighted sum of a batch's losses over the sum of its weights, as `kerasft.training.step` has it.

    Under a strategy with several replicas it is this one's share of the global batch's: gradients are summed.

    Args:
        task: tells the loss.
        targets, outputs: (batch, ...) of the model.
        weights: (batch,) float32.
    """
    total = tf.reduce_sum(weights)
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        total = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, total)
    return task.loss_sum(targets, outputs, weights) / tf.maximum(total, 1e-12)  # every weight of a batch may be 0
