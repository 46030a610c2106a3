"""Sizes of tensors that are known before anything runs."""

from __future__ import annotations

import tensorflow as tf


def static_size(tensor: tf.Tensor, axis: int) -> int:
    """The size of an axis, as a number for Python to reckon with.

    Raises:
        ValueError: it is only known when the graph runs.
    """
    size = tensor.shape[axis]
    if size is None:
        raise ValueError(f"axis {axis} of {tensor.shape} has no size that is known in the graph")
    return size
