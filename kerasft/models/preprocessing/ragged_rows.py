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
