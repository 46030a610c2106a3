"""Layers that have other classes for a while, and whether a layer is as Keras and KerasHub made it.

Steps of training and of writing run KerasHub's models in forms of their own. A form may read the weights of a layer's
parts by itself only where nothing was put in or around them: `as_made` is the one place that says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import keras
import keras_hub
from keras_hub.src.models.deberta_v3.disentangled_attention_encoder import DisentangledAttentionEncoder
from keras_hub.src.models.deberta_v3.disentangled_self_attention import DisentangledSelfAttention

Kind = type[keras.layers.Layer]
Changes = list[tuple[keras.layers.Layer, Kind]]


class Form:
    """A base of every class that a layer has for a while: another form of the layer's own class.

    Attributes:
        adapted: it gives something else than the layer's own class: no other form may read its weights instead.
        beside_product: all that it adds is at the layer's product, which other forms may ask for, see `kerasft.peft`.
        outside: layers of elsewhere that it calls, such as one that draws numbers.
    """

    adapted = False
    beside_product = False
    outside: tuple[keras.layers.Layer, ...] = ()


def own_class(layer: keras.layers.Layer) -> Kind:
    """The class that a layer was made with, whatever form it has now."""
    return next(kind for kind in type(layer).__mro__ if not issubclass(kind, Form))


def as_made(layer: keras.layers.Layer, adapters: bool = False) -> bool:
    """Whether a layer, and each part that KerasHub's code calls in it, is as Keras and KerasHub made it.

    Not where a part is of another class, such as a wrapper around a Dense layer, where a layer has LoRA weights, is
    quantized or has a form that adapts it, or where its `call` was replaced.

    Args:
        layer: of any class.
        adapters: the caller honours forms that adapt a layer, see `kerasft.peft.forms`.
    """
    if isinstance(layer, Form) and layer.adapted and not (adapters and layer.beside_product):
        return False
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None) or "call" in vars(layer):
        return False
    parts = PARTS.get(own_class(layer), {})
    return all(has_part(layer, name, kind) and as_made(getattr(layer, name), adapters) for name, kind in parts.items())


def has_part(layer: keras.layers.Layer, name: str, kind: Kind) -> bool:
    """Whether a part of a layer is of the class that KerasHub gives it."""
    part = getattr(layer, name, None)
    return isinstance(part, keras.layers.Layer) and own_class(part) is kind


_ATTENTION: Mapping[str, Kind] = {
    **{f"_{name}_dense": keras.layers.EinsumDense for name in ("query", "key", "value", "output")},
    "_softmax": keras.layers.Softmax,
    "_dropout_layer": keras.layers.Dropout,
}


def _block(attention: Kind) -> Mapping[str, Kind]:
    """The parts of a transformer layer (KerasHub 0.25 to 0.32)."""
    return {
        "_self_attention_layer": attention,
        "_self_attention_layer_norm": keras.layers.LayerNormalization,
        "_self_attention_dropout": keras.layers.Dropout,
        "_feedforward_layer_norm": keras.layers.LayerNormalization,
        "_feedforward_intermediate_dense": keras.layers.Dense,
        "_feedforward_output_dense": keras.layers.Dense,
        "_feedforward_dropout": keras.layers.Dropout,
    }


# Of each class that a form is made for: its parts, and the class of each. A class without parts has a line nowhere.
PARTS: Mapping[Kind, Mapping[str, Kind]] = {
    keras.layers.MultiHeadAttention: _ATTENTION,
    keras_hub.layers.CachedMultiHeadAttention: _ATTENTION,
    keras_hub.layers.TransformerEncoder: _block(keras.layers.MultiHeadAttention),
    keras_hub.layers.TransformerDecoder: _block(keras_hub.layers.CachedMultiHeadAttention),
    DisentangledAttentionEncoder: _block(DisentangledSelfAttention),
}


@contextlib.contextmanager
def as_classes(changes: Changes) -> Iterator[None]:
    """Each layer is of the class beside it inside, and of its own again afterwards.

    Args:
        changes: no layer twice; each class is a `Form`.
    """
    before = [type(layer) for layer, _ in changes]
    for layer, kind in changes:
        layer.__class__ = kind
    try:
        yield
    finally:
        for (layer, _), kind in zip(changes, before):
            layer.__class__ = kind
