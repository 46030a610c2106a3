"""What the model learns of a window: which of its tokens open and close the answer, or that it has none."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

OUTSIDE, OPENS, CLOSES = -1, 1, 2  # a token may open the answer and close it too: 3; 0 does neither


# AutoGraph has nothing to convert in this file, and takes longer than the tracing itself.
@tf.autograph.experimental.do_not_convert
def answer_targets(features: Mapping[str, tf.Tensor], start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """The target of every token, in graph.

    A window that does not hold the whole answer has none, as in BERT's run_squad.py: there the null token is both
    the first and the last of the answer. Where the answer begins or ends inside a token, it is learnt with the whole
    token.

    Args:
        features: those of `QuestionPreprocessor`.
        start, end: (batch,) int32 code points of the answer in its context; -1 and -1: there is none.

    Returns:
        (windows, longest) int32, OUTSIDE where the answer can't begin or end: question, padding, white space.
    """
    rows = tf.size(features["windows"])
    text = tf.repeat(tf.range(rows), features["windows"])
    first, last = (tf.gather(tf.cast(each, tf.int32), text)[:, tf.newaxis] for each in (start, end))  # (windows, 1)
    inside = (features["starts"] >= 0) & (features["ends"] > first) & (features["starts"] < last)
    # Windows share out the tokens of a text, so those that each owns add up to the whole answer.
    whole = tf.math.unsorted_segment_sum(_count(inside & features["owned"]), text, rows)  # (windows,) -> (batch,)
    is_whole = (_count(inside) > 0) & (_count(inside) == tf.gather(whole, text))
    length = tf.shape(inside)[1]
    flags = tf.cast(inside, tf.int32)
    opens = tf.one_hot(tf.argmax(flags, axis=1), length, on_value=True, off_value=False)
    closes = tf.reverse(tf.one_hot(tf.argmax(flags[:, ::-1], axis=1), length, on_value=True, off_value=False), [1])
    opens, closes = (tf.where(is_whole[:, tf.newaxis], each, features["null"]) for each in (opens, closes))
    targets = OPENS * tf.cast(opens, tf.int32) + CLOSES * tf.cast(closes, tf.int32)
    return tf.where((features["starts"] >= 0) | features["null"], targets, OUTSIDE)


@tf.autograph.experimental.do_not_convert
def answer_loss(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Mean cross-entropy of the first and the last token among those of the window that could be (Devlin et al. 2018).

    Args:
        targets: (windows, longest) of `answer_targets`.
        logits: (windows, longest, 2) float32 of first and last.

    Returns:
        (windows,).
    """
    targets = tf.cast(targets, tf.int32)
    outside = targets == OUTSIDE
    log_probabilities = tf.nn.log_softmax(tf.where(outside[..., tf.newaxis], -1e9, logits), axis=1)
    codes = tf.where(outside, 0, targets)
    gold = tf.stack([codes % CLOSES, codes // CLOSES], axis=-1)  # (windows, longest, 2)
    return -tf.reduce_sum(tf.cast(gold, logits.dtype) * log_probabilities, axis=[1, 2]) / 2


def _count(flags: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(flags, tf.int32), axis=1)
