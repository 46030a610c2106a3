"""Which weights a model has, as a few words: two that have the same digest have the same bits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import keras
import numpy as np


def weights_digest(variables: Iterable[keras.Variable]) -> str:
    """SHA-256 of the values of variables, one behind the other."""
    digest = hashlib.sha256()
    for variable in variables:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).tobytes())
    return digest.hexdigest()
