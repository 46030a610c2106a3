"""Vectors of the tokens of a batch, moved into rows that several texts share, and back."""

from __future__ import annotations

import tensorflow as tf

from kerasft.data.batching.pack_plan import RowShape
from kerasft.data.prepared.prepared import LENGTH_STEP


class PackedRows:
    """Where each token of a batch stands in the rows.

    Args:
        row, offset: (texts,) int32 of each text's first token; a row of -1: the text is nowhere.
        padding_mask: (texts, length), 1 for each token; they come first in a text.
        shape: of the rows; None: no larger than these texts need.

    Attributes:
        attention_mask: (rows, row length, row length), true between tokens of the same text.
    """

    def __init__(self, row: tf.Tensor, offset: tf.Tensor, padding_mask: tf.Tensor, shape: RowShape | None):
        self.texts, self.length = _dimensions(padding_mask)
        self.here = tf.cast(padding_mask, tf.bool) & (row >= 0)[:, None]  # (texts, length)
        self.rows, self.row_length = (shape.rows, shape.length) if shape else self._needed(row, offset)
        slots, tokens = self.rows * self.row_length, self.texts * self.length
        slot = (row * self.row_length + offset)[:, None] + tf.range(self.length)  # (texts, length)
        slot = tf.reshape(tf.where(self.here, slot, slots), [-1])  # what is no token goes to one slot behind all rows
        token = tf.tensor_scatter_nd_update(tf.fill([slots + 1], tokens), slot[:, None], tf.range(tokens))[:slots]
        self.used = token < tokens  # (slots,)
        # Of each token its slot and of each slot its token; any other's where `here` or `used` is false.
        self.slot, self.token = tf.minimum(slot, slots - 1), tf.minimum(token, tokens - 1)
        text = tf.reshape(tf.where(self.used, token // self.length, -1), [self.rows, self.row_length])  # -1: empty
        # Empty slots attend to each other, so that no softmax is over nothing.
        self.attention_mask = text[:, :, None] == text[:, None, :]

    def pack(self, vectors: tf.Tensor) -> tf.Tensor:
        """(texts, length, hidden) -> (rows, row length, hidden), 0 where no token stands."""
        flat = _moved(vectors, self.token, self.used, self.slot, tf.reshape(self.here, [-1]))  # (slots, hidden)
        return tf.reshape(flat, [self.rows, self.row_length, vectors.shape[-1]])

    def unpack(self, vectors: tf.Tensor) -> tf.Tensor:
        """(rows, row length, hidden) -> (texts, length, hidden), 0 where no token stands."""
        # (texts * length, hidden)
        flat = _moved(vectors, self.slot, tf.reshape(self.here, [-1]), self.token, self.used)
        return tf.reshape(flat, [self.texts, self.length, vectors.shape[-1]])

    def _needed(self, row: tf.Tensor, offset: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        end = tf.reduce_max(offset + tf.reduce_sum(tf.cast(self.here, tf.int32), 1))
        return tf.maximum(tf.reduce_max(row) + 1, 1), tf.maximum(-(-end // LENGTH_STEP), 1) * LENGTH_STEP


def _dimensions(tensor: tf.Tensor) -> list:
    """Of a tensor, as numbers where they are known."""
    return [size if static is None else static for static, size in zip(tensor.shape, tf.unstack(tf.shape(tensor)))]


def _moved(vectors: tf.Tensor, source: tf.Tensor, used: tf.Tensor, back: tf.Tensor, back_used: tf.Tensor) -> tf.Tensor:
    """(..., hidden) -> (places, hidden). A permutation, so that its gradient needs no sum: it is moved back.

    Args:
        vectors: (..., hidden).
        source: (places,) which vector comes to a place.
        used: (places,) whether one does; otherwise 0.
        back, back_used: (vectors,) the same for the way back.
    """

    def gather(values: tf.Tensor, index: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(values, [-1, vectors.shape[-1]])  # (..., hidden) -> (vectors, hidden)
        return tf.gather(flat, index) * tf.cast(real, values.dtype)[:, None]

    @tf.custom_gradient
    def move(values):
        def gradient(upstream):
            return tf.reshape(gather(upstream, back, back_used), tf.shape(values))

        return gather(values, source, used), gradient

    return move(vectors)
