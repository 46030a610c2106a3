"""Which base an adapter belongs to."""

from __future__ import annotations

import keras

from kerasft.models.presets.layer_settings import settings_of
from kerasft.models.weights_digest import weights_digest


def new_pooler(backbone: keras.Model) -> list[keras.Variable]:
    """Weights of a BERT's pooler whose preset has none: they are random, and other ones with another seed."""
    if "pooler" not in settings_of(backbone).get("missing", ()):
        return []
    return [weight for weight in backbone.weights if weight.path.startswith("pooled_dense/")]


def base_digest(backbone: keras.Model) -> str:
    """SHA-256 of the weights that a preset has."""
    new = {id(weight) for weight in new_pooler(backbone)}
    return weights_digest(weight for weight in backbone.weights if id(weight) not in new)
