"""Settings of a backbone's layers that KerasHub's constructor does not take, and how they stay with the backbone.

KerasHub (0.25 to 0.32) builds a BERT with one activation and one epsilon, whatever its checkpoint was trained with.
Here they are set on the layers when the backbone is built, kept beside it, and written into the saved config.json,
where `load_backbone` finds them again.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import keras
from keras_hub.src.utils.keras_utils import gelu_approximate

KEY = "kerasft_layers"  # in config.json
_SMALL = 1e-5  # epsilons up to here hardly matter


_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": keras.activations.gelu,
    "gelu_approximate": gelu_approximate,
    **{name: getattr(keras.activations, name) for name in ("relu", "relu6", "silu", "tanh", "sigmoid", "mish")},
    "linear": keras.activations.linear,
}


def apply_settings(backbone: keras.Model, settings: Mapping[str, Any]) -> keras.Model:
    """Sets them on the layers of a backbone as KerasHub has built it.

    Args:
        backbone: is changed; graphs that were traced before are not.
        settings: `activation`, a name, of the layers between attention and attention; `epsilon` of every
            normalisation; `rates`, dropout of `hidden`, `attention` and `embeddings` layers, none above the one that
            the backbone was built with; `missing`, weights that the preset lacks; `head`, see `head_settings`;
            `heads`, of the attention of every layer, which it was built with in `building_with`. Each may be left out.

    Returns:
        The backbone.
    """
    backbone.kerasft_layers = json.dumps(settings)  # a table would be tracked, and stand in checkpoints
    for layer in backbone._flatten_layers(include_self=False):
        if "activation" in settings:
            _set_activation(layer, _ACTIVATIONS[settings["activation"]])
        if "epsilon" in settings:
            _set_epsilon(layer, settings["epsilon"])
    if "rates" in settings:
        _set_rates(backbone, settings["rates"])
    return backbone


# How many heads an attention has at most, for what the same thread builds. Tried with Keras 3.15.1.
_heads: ContextVar[int | None] = ContextVar("heads", default=None)
_attention: Any = keras.layers.MultiHeadAttention
_make_attention = _attention.__init__
_lock = threading.Lock()
_building = [0]  # threads that are within `building_with`


@contextlib.contextmanager
def building_with(settings: Mapping[str, Any]) -> Iterator[None]:
    """Within it, KerasHub builds a backbone with those settings that its layers must have from the beginning.

    KerasHub makes heads as wide as the width over their number. Where heads were removed, those that stay keep their
    width, and no constructor takes that.
    """
    token = _heads.set(settings.get("heads"))
    with _lock:
        _building[0] += 1
        _attention.__init__ = _with_fewer_heads
    try:
        yield
    finally:
        with _lock:
            _building[0] -= 1
            if not _building[0]:
                _attention.__init__ = _make_attention
        _heads.reset(token)


def _with_fewer_heads(self: Any, num_heads: int, key_dim: int, *args: Any, **options: Any) -> None:
    limit = _heads.get()
    _make_attention(self, num_heads if limit is None else min(num_heads, limit), key_dim, *args, **options)


def settings_of(backbone: keras.Model) -> dict[str, Any]:
    """What `apply_settings` was given; {}: the backbone is as KerasHub builds it."""
    return json.loads(getattr(backbone, "kerasft_layers", "{}"))


def change_what_is_computed(settings: Mapping[str, Any]) -> bool:
    """Whether a backbone that KerasHub builds without them gives other vectors, by more than rounding."""
    plain = settings.get("activation") in (None, "gelu", "gelu_approximate")
    return not plain or settings.get("epsilon", 0.0) > _SMALL or "heads" in settings


def rebuilt(backbone: keras.Model, **changes: Any) -> keras.Model:
    """A backbone with fresh weights and the same config, settings included, but for some arguments.

    Args:
        backbone: is left as it is.
        changes: of the arguments of its constructor. A `dropout` is that of all layers; `heads` are those that the
            attention of every layer has, each as wide as before.
    """
    heads = {"heads": changes.pop("heads")} if "heads" in changes else {}
    # KerasHub's own config of a Llama (0.25 to 0.32) leaves out that its output is its embedding.
    tied = getattr(backbone, "tie_word_embeddings", None)
    config = {**backbone.get_config(), **({} if tied is None else {"tie_word_embeddings": tied}), **changes}
    settings = settings_of(backbone) | heads
    if any("dropout" in name for name in changes):
        settings.pop("rates", None)
    with building_with(settings):
        return apply_settings(type(backbone).from_config(config), settings)


def head_settings(backbone: keras.Model) -> dict[str, Any]:
    """Arguments of a masked language model's head that fits the backbone: those of BERT where nothing else is told."""
    head = settings_of(backbone).get("head", {})
    return {
        "intermediate_activation": _ACTIVATIONS[head.get("activation", "gelu")],
        "layer_norm_epsilon": head.get("epsilon", 1e-12),
    }


def hidden_dropout(backbone: keras.Model) -> float:
    """The rate of the backbone's dropout that a head goes on with."""
    return settings_of(backbone).get("rates", {}).get("hidden", getattr(backbone, "dropout", 0.0))


def _set_activation(layer: keras.layers.Layer, activation: Callable[[Any], Any]) -> None:
    dense = getattr(layer, "_feedforward_intermediate_dense", None)
    if dense is not None:
        layer.activation = dense.activation = activation


def _set_epsilon(layer: keras.layers.Layer, epsilon: float) -> None:
    for name in ("epsilon", "layer_norm_epsilon"):
        if isinstance(getattr(layer, name, None), float):
            setattr(layer, name, epsilon)


def _set_rates(backbone: keras.Model, rates: Mapping[str, float]) -> None:
    layers = backbone._flatten_layers(include_self=False)
    attention = [layer for layer in layers if isinstance(layer, keras.layers.MultiHeadAttention)]
    inside = {id(layer._dropout_layer) for layer in attention}
    for layer in attention:
        layer._dropout = layer._dropout_layer.rate = rates["attention"]
    for layer in layers:
        if isinstance(layer, keras.layers.Dropout) and id(layer) not in inside:
            first = layer.name == "embeddings_dropout" and "embeddings" in rates
            layer.rate = rates["embeddings" if first else "hidden"]
