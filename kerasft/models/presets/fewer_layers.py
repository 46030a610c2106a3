"""A backbone with some of its transformer layers: the start of a student, or what is left once layers are removed."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from kerasft.errors import UserError
from kerasft.models.blocks import transformer_blocks
from kerasft.models.presets.layer_settings import rebuilt


def even_layers(total: int, count: int) -> list[int]:
    """`count` of `total` layers, spread evenly, the highest among them: 3 of 6 are 1, 3 and 5."""
    return [round((place + 1) * total / count) - 1 for place in range(count)]


def fewer_layers(backbone: keras.Model, layers: int | Sequence[int]) -> keras.Model:
    """The same backbone with fewer transformer layers; all other weights are the same.

    Args:
        backbone: is left as it is.
        layers: how many, spread evenly, or which, from the lowest on, which is 0.

    Raises:
        UserError: there are not so many, or its layers are shared, or those of an encoder and a decoder.
    """
    blocks, name = transformer_blocks(backbone), type(backbone).__name__
    if "num_layers" not in backbone.get_config() or backbone.get_config()["num_layers"] != len(blocks):
        raise UserError(
            f"model.layers: the layers of this {name} are shared, or in an encoder and a decoder; leave it null"
        )
    kept = even_layers(len(blocks), layers) if isinstance(layers, int) else list(layers)
    if isinstance(layers, int) and layers > len(blocks) or max(kept) >= len(blocks):
        raise UserError(f"model.layers: {layers} of the {len(blocks)} layers of this {name}; use fewer, from 0 on")
    made = rebuilt(backbone, num_layers=len(kept))
    new_blocks = transformer_blocks(made)
    for old, new in zip([blocks[index] for index in kept], new_blocks, strict=True):
        _copy(old.weights, new.weights)
    _copy(_outside(backbone, blocks), _outside(made, new_blocks))
    return made


def _outside(backbone: keras.Model, blocks: Sequence[keras.layers.Layer]) -> list[keras.Variable]:
    """Weights that belong to no transformer layer, in the order of the model's."""
    inside = {id(weight) for block in blocks for weight in block.weights}
    return [weight for weight in backbone.weights if id(weight) not in inside]


def _copy(old: Sequence[keras.Variable], new: Sequence[keras.Variable]) -> None:
    for source, target in zip(old, new, strict=True):
        target.assign(source)
