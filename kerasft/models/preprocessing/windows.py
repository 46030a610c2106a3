"""Long texts as overlapping windows of tokens, in graph, and each token's answer from the window that knows it best."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Windows(NamedTuple):
    """Which tokens of which text a window holds; every field (windows,) int64, texts in order, windows in order.

    Attributes:
        text: the text's number in the batch.
        start, end: the tokens that it holds, counted in their text.
        own_start, own_end: the tokens that it answers for. They share out each text: a token is answered for by the
            window in which the nearer end is furthest away (the `max context` rule of BERT's run_squad.py).
    """

    text: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor
    own_start: tf.Tensor
    own_end: tf.Tensor


def cover(lengths: tf.Tensor, room: int | tf.Tensor, stride: int | tf.Tensor) -> Windows:
    """Windows over texts: one for a text that fits; otherwise full ones, the last of them ending with the text.

    Args:
        lengths: (batch,) tokens of each text.
        room: tokens that a window holds; one number, or (batch,) where something of the text's own takes a part.
        stride: tokens that neighbouring windows share at least, less than `room`; one number or (batch,).
    """
    lengths = tf.cast(lengths, tf.int64)
    room, stride = (tf.broadcast_to(tf.cast(each, tf.int64), tf.shape(lengths)) for each in (room, stride))
    step = room - stride
    spare = tf.maximum(lengths - room, 0)
    counts = 1 + (spare + step - 1) // step
    text = tf.repeat(tf.range(tf.size(counts, out_type=tf.int64)), counts)
    number = tf.range(tf.reduce_sum(counts)) - tf.gather(tf.cumsum(counts, exclusive=True), text)
    last = tf.gather(counts, text) - 1
    length, spare, room, step = (tf.gather(each, text) for each in (lengths, spare, room, step))  # of each window

    def start_of(window: tf.Tensor) -> tf.Tensor:
        return tf.minimum(window * step, spare)

    start, end = start_of(number), tf.minimum(start_of(number) + room, length)
    # Neighbours part in the middle of what they share.
    own_start = tf.where(number == 0, tf.zeros_like(start), (start + start_of(number - 1) + room) // 2)
    own_end = tf.where(number == last, length, (start_of(number + 1) + end) // 2)
    return Windows(text, start, end, own_start, own_end)


def positions(tokens: tf.RaggedTensor, windows: Windows) -> tf.RaggedTensor:
    """(batch, tokens) -> (windows, tokens of each) int64 index into the flat values of `tokens`."""
    first = tf.gather(tokens.row_starts(), windows.text)
    return tf.ragged.range(first + windows.start, first + windows.end)


def owned(tokens: tf.RaggedTensor, windows: Windows) -> tf.RaggedTensor:
    """(windows, tokens of each) bool, whether the window answers for the token.

    The owned tokens of all windows, one after the other, are the tokens of the batch in order.
    """
    inside = tf.ragged.range(windows.start, windows.end)
    at, window = inside.flat_values, inside.value_rowids()
    own = (at >= tf.gather(windows.own_start, window)) & (at < tf.gather(windows.own_end, window))
    return inside.with_flat_values(own)
