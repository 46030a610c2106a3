"""Rows of tokens that are put beside each other, in graph."""

from __future__ import annotations

import tensorflow as tf


def repeated(ids: tuple[int, ...], rows: tf.Tensor) -> tf.RaggedTensor:
    """The same ids in each row, (rows, len(ids)) int32."""
    values = tf.tile(tf.constant(ids, tf.int32, shape=[len(ids)]), [tf.cast(rows, tf.int32)])
    return tf.RaggedTensor.from_uniform_row_length(values, len(ids), nrows=rows, validate=False)


def side_by_side(parts: list[tf.RaggedTensor]) -> tf.RaggedTensor:
    """[(batch, n), (batch, m), ...] -> (batch, n + m + ...), without the assertions of `tf.concat(parts, axis=1)`."""
    rows, count = parts[0].nrows(), len(parts)
    order = tf.transpose(tf.reshape(tf.range(rows * count), [count, rows]))  # (batch, parts)
    flat = tf.gather(tf.concat(parts, axis=0), tf.reshape(order, [-1]))
    return tf.RaggedTensor.from_row_splits(flat.flat_values, flat.row_splits[::count], validate=False)


def shortened(segment: tf.RaggedTensor, counts: tf.Tensor) -> tf.RaggedTensor:
    """(batch, tokens) -> (batch, at most `counts` tokens)."""
    lengths = segment.row_lengths()
    position = tf.range(tf.size(segment.flat_values, out_type=tf.int64)) - tf.repeat(segment.row_starts(), lengths)
    values = tf.boolean_mask(segment.flat_values, position < tf.repeat(counts, lengths))
    return tf.RaggedTensor.from_row_lengths(values, tf.minimum(counts, lengths), validate=False)


def longest_first(first: tf.Tensor, second: tf.Tensor, budget: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Tokens that each text of a pair keeps, by the `longest_first` rule of the Rust tokenizers, in closed form.

    The shorter text stays whole where it takes at most half the room; otherwise both get half, and an odd token
    goes to the longer one (to the second where they are equal).

    Args:
        first, second: (batch,) tokens of each text.
        budget: tokens there is room for.

    Returns:
        (batch,) and (batch,), together at most `budget`.
    """
    room = tf.cast(budget, first.dtype)
    half, rest = room // 2, room - room // 2
    shorter = tf.minimum(first, second)
    fits = first + second <= room
    whole = shorter <= half
    short = tf.where(whole, shorter, half)
    long = tf.where(whole, room - shorter, rest)
    count_first = tf.where(first <= second, short, long)
    count_second = tf.where(first <= second, long, short)
    return tf.where(fits, first, count_first), tf.where(fits, second, count_second)
