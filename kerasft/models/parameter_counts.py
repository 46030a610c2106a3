"""How many numbers of a model train."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras


def count_parameters(model: keras.Model, without: Sequence[keras.Variable] = ()) -> tuple[int, int]:
    """Those that train, and all there are; `without` what only keeps account of others."""
    left = {id(variable) for variable in without}
    own = [weight for weight in model.weights if id(weight) not in left]
    trained, every = (sum(math.prod(w.shape) for w in some) for some in (model.trainable_weights, own))
    return trained, every


def trained_share(model: keras.Model, without: Sequence[keras.Variable] = ()) -> str:
    """The same in words."""
    trained, every = count_parameters(model, without)
    return f"training {trained:,} of {every:,} parameters ({trained / every:.2%})"
