"""Perturbations of token embeddings: (batch, length, width) float32, measured for each text by itself.

A norm over the whole batch would make what happens to a text depend on its neighbours. Padding is left out, so that it
does not depend on the length of a batch either.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf


def at_tokens(inputs: Mapping[str, tf.Tensor], vectors: tf.Tensor) -> tf.Tensor:
    """The same vectors, 0 where a text is padded."""
    return vectors * tf.cast(inputs["padding_mask"], tf.float32)[..., None]


def scattered(inputs: Mapping[str, tf.Tensor], numbers: tf.Tensor, size: float) -> tf.Tensor:
    """Numbers of a text from -1 to 1, times size / sqrt(tokens * width): their L2 norm is at most `size`."""
    tokens = tf.reduce_sum(tf.cast(inputs["padding_mask"], tf.float32), 1)[:, None, None]  # (batch, 1, 1)
    root = tf.sqrt(tokens * tf.cast(tf.shape(numbers)[-1], tf.float32))
    return at_tokens(inputs, size * tf.math.divide_no_nan(numbers, root))


def norms(vectors: tf.Tensor) -> tf.Tensor:
    """(batch, length, width) -> (batch, 1, 1) the L2 norm over a text."""
    return tf.sqrt(tf.reduce_sum(tf.square(vectors), [1, 2], keepdims=True))


def peaks(vectors: tf.Tensor) -> tf.Tensor:
    """(batch, length, width) -> (batch, 1, 1) the largest absolute number of a text."""
    return tf.reduce_max(tf.abs(vectors), [1, 2], keepdims=True)


def units(vectors: tf.Tensor) -> tf.Tensor:
    """Vectors of L2 norm 1 a text; 0 where they are 0, as the gradient of a row that only fills the batch up."""
    return tf.math.divide_no_nan(vectors, norms(vectors))


def within(vectors: tf.Tensor, radius: float) -> tf.Tensor:
    """The nearest vectors whose L2 norm a text is at most `radius`."""
    size = norms(vectors)
    return tf.where(size > radius, vectors * tf.math.divide_no_nan(radius, size), vectors)
