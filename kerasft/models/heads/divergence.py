"""How far two outputs of a model for the same texts differ: the mean of both Kullback-Leibler divergences, in nats.

KL(p, q) + KL(q, p) is the sum of (p - q) (log p - log q), which is exactly 0 where both are the same.
"""

from __future__ import annotations

import tensorflow as tf

from kerasft.models.heads.answer_targets import OUTSIDE


def between_classes(one: tf.Tensor, other: tf.Tensor, axis: int = -1) -> tf.Tensor:
    """(..., classes), (..., classes) logits -> (...), of classes of which one is true."""
    one, other = (tf.nn.log_softmax(tf.cast(logits, tf.float32), axis) for logits in (one, other))
    return 0.5 * tf.reduce_sum((tf.exp(one) - tf.exp(other)) * (one - other), axis)


def between_labels(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """(batch, labels), (batch, labels) logits -> (batch,), summed over labels that are true or not by themselves."""
    one, other = (tf.cast(logits, tf.float32) for logits in (one, other))
    return 0.5 * tf.reduce_sum((tf.sigmoid(one) - tf.sigmoid(other)) * (one - other), -1)


def between_tokens(targets: tf.Tensor, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Mean over the tokens that have a target.

    Args:
        targets: (batch, length), negative: none.
        one, other: (batch, length, classes) logits.

    Returns:
        (batch,), 0 for a row without targets.
    """
    real = tf.cast(targets >= 0, tf.float32)
    each = between_classes(one, other) * real  # (batch, length)
    return tf.math.divide_no_nan(tf.reduce_sum(each, 1), tf.reduce_sum(real, 1))


def between_answers(targets: tf.Tensor, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Mean of that of the first and that of the last token.

    Args:
        targets: (windows, longest) of `answer_targets`.
        one, other: (windows, longest, 2) logits of first and last.

    Returns:
        (windows,).
    """
    outside = (tf.cast(targets, tf.int32) == OUTSIDE)[..., tf.newaxis]
    one, other = (tf.where(outside, -1e9, tf.cast(logits, tf.float32)) for logits in (one, other))
    return tf.reduce_mean(between_classes(one, other, axis=1), -1)
