"""How many numbers of a model train."""

from __future__ import annotations

import math

import keras


def count_parameters(model: keras.Model) -> tuple[int, int]:
    """Those that train, and all there are."""
    trained, every = (sum(math.prod(w.shape) for w in some) for some in (model.trainable_weights, model.weights))
    return trained, every


def trained_share(model: keras.Model) -> str:
    """The same in words."""
    trained, every = count_parameters(model)
    return f"training {trained:,} of {every:,} parameters ({trained / every:.2%})"
