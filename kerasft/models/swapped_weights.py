"""Weights that a model has for a while: moving averages, merged adapters, rows that are brought up to date."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf


@contextlib.contextmanager
def swapped_in(values: Iterable[tuple[keras.Variable, np.ndarray | tf.Tensor]]) -> Iterator[None]:
    """Each variable has the value beside it inside, and every bit of its own again afterwards, also after an error.

    Args:
        values: no variable twice; a value is asked for when those before it are in place already.
    """
    originals: list[tuple[keras.Variable, np.ndarray]] = []
    try:
        for variable, value in values:
            originals.append((variable, np.array(keras.ops.convert_to_numpy(variable))))
            variable.assign(value)
        yield
    finally:
        for variable, own in originals:
            variable.assign(own)
