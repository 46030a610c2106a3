"""The transformer layers of any KerasHub backbone: which are trained, and how deep each weight lies."""

from __future__ import annotations

import keras

from kerasft.errors import UserError


def transformer_blocks(backbone: keras.Model) -> list[keras.layers.Layer]:
    """The transformer layers, bottom to top, each once: ALBERT's shared layer is one layer.

    KerasHub's backbones hold them in `transformer_layers`, a list, for ALBERT a list of lists, and encoders with a
    decoder in a list each, of which the decoder's is above (0.25 to 0.32); no other place in kerasft knows this.

    Raises:
        UserError: the backbone has none.
    """
    names = ("transformer_layers", "encoder_transformer_layers", "decoder_transformer_layers")
    blocks = keras.tree.flatten([getattr(backbone, name, []) for name in names])
    if not blocks:
        raise UserError(
            f"model.preset: {type(backbone).__name__} has no list of transformer layers; use a BERT- or GPT-type model"
        )
    return blocks


def dense_layers(block: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The Dense and EinsumDense layers of a transformer layer, however deep."""
    kinds = (keras.layers.Dense, keras.layers.EinsumDense)
    return [part for part in block._flatten_layers() if isinstance(part, kinds)]


def drops(model: keras.Model) -> bool:
    """Whether any dropout of a model, however deep, has a rate above 0."""
    return any(part.rate > 0 for part in model._flatten_layers() if isinstance(part, keras.layers.Dropout))


def set_trainable(backbone: keras.Model, which: str) -> None:
    """Freezes a part of a model, and thaws nothing: what something else froze, such as LoRA, stays frozen.

    Args:
        backbone: its layers are frozen in place; the head is the task's and always trains.
        which: `all`; `head`: nothing of the backbone; `last_N_layers`: its last N transformer layers and what
            lies above them (final normalisation, pooler) besides the head.

    Raises:
        UserError: N is more than there are layers.
    """
    if which == "head":
        _freeze(backbone)
    if which in ("all", "head"):
        return
    blocks = transformer_blocks(backbone)
    count = int(which.removeprefix("last_").removesuffix("_layers"))
    if count > len(blocks):
        raise UserError(
            f"model.trainable: {which} is more than the {len(blocks)} transformer layers of this "
            f"{type(backbone).__name__}; use last_{len(blocks)}_layers or all"
        )
    first = len(blocks) - count + 1
    for layer, depth in _depth_of_layers(backbone):
        if depth < first:
            _freeze(layer)


def _freeze(layer: keras.layers.Layer) -> None:
    """Freezes a layer and all that is in it: Keras stops at a part that is frozen, and LoRA thaws parts within it."""
    for part in layer._flatten_layers():
        part.trainable = False


def layer_depths(backbone: keras.Model) -> dict[str, int]:
    """Path of each weight -> 0 in the embeddings, 1 to N in the N transformer layers, N + 1 above them.

    Raises:
        UserError: the backbone has no list of transformer layers.
    """
    return {weight.path: depth for layer, depth in _depth_of_layers(backbone) for weight in layer.weights}


def _depth_of_layers(backbone: keras.Model) -> list[tuple[keras.layers.Layer, int]]:
    """The backbone's layers in the order of its graph; what is not a transformer layer counts with the one below."""
    blocks = transformer_blocks(backbone)
    depth_of = {id(block): depth for depth, block in enumerate(blocks, 1)}
    depths, below = [], 0
    for layer in backbone.layers:
        below = depth_of.get(id(layer), below)
        depths.append((layer, below))
    # What follows the last transformer layer lies above it.
    top = max(i for i, (layer, _) in enumerate(depths) if id(layer) in depth_of)
    return depths[: top + 1] + [(layer, len(blocks) + 1) for layer, _ in depths[top + 1 :]]
