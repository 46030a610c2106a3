"""Which weights are pulled towards zero."""

from __future__ import annotations

import keras

# Biases and the weights of normalisation layers are not decayed, as in every BERT recipe: they hold an offset or a
# scale that is right at any size, so that pulling them to zero fits worse and generalises no better.
NOT_DECAYED = ("bias", "gamma", "beta", "norm")


def decayed(variable: keras.Variable) -> bool:
    """Whether weight decay is for a variable."""
    return len(variable.shape) > 1 and not variable.path.rsplit("/", 1)[-1].startswith(NOT_DECAYED)
