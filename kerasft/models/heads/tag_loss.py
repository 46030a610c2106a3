"""What token classification minimises: a mean over the tokens that have a tag, for each row."""

from __future__ import annotations

import tensorflow as tf

from kerasft.models.heads.crf import TagScores, log_partition, path_score


def tag_loss(targets: tf.Tensor, logits: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """Mean cross-entropy over the tokens with a tag.

    Args:
        targets: (batch, length) int32 tag, or negative: none.
        logits: (batch, length, tags).
        smoothing: share of each target that is spread over all tags.

    Returns:
        (batch,), 0 for a row without tags.
    """
    tags = tf.shape(logits)[-1]
    hot = tf.one_hot(targets, tags, dtype=logits.dtype)
    hot = hot * (1.0 - smoothing) + smoothing / tf.cast(tags, logits.dtype)
    each = tf.nn.softmax_cross_entropy_with_logits(hot, logits)  # (batch, length)
    real = tf.cast(targets >= 0, logits.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(each * real, 1), tf.reduce_sum(real, 1))


def chain_loss(targets: tf.Tensor, logits: tf.Tensor, chain: TagScores) -> tf.Tensor:
    """Negative log-likelihood of the tags under a linear chain, by tag, of the tokens that have one.

    Args:
        targets: (batch, length) int32 tag, or negative: the chain skips the token.
        logits: (batch, length, tags) emissions.
        chain: between the tags of tokens that follow each other once others are skipped.

    Returns:
        (batch,), 0 for a row without tags.
    """
    real = targets >= 0
    order = tf.argsort(tf.cast(~real, tf.int32), axis=1, stable=True)  # tokens with a tag first, as they were
    tags = tf.maximum(tf.gather(targets, order, batch_dims=1), 0)
    emissions = tf.gather(logits, order, batch_dims=1)
    lengths = tf.reduce_sum(tf.cast(real, tf.int32), 1)
    scores = tf.convert_to_tensor(chain.transitions), tf.convert_to_tensor(chain.start)
    surprise = log_partition(emissions, lengths, *scores) - path_score(emissions, tags, lengths, *scores)
    return tf.math.divide_no_nan(surprise, tf.cast(lengths, logits.dtype))
