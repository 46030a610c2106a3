"""Prefix tuning: keys and values that every token attends to besides (Li & Liang 2021, arXiv:2101.00190).

They stand before the keys and values of every self-attention, have no position, and are no tokens: a text has as many
as before, and the pooled token is its own. With `reparameterize` a network makes them from smaller vectors while they
train, as in the paper; what is saved is what it made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from keras_hub.src.models.llama.llama_attention import LlamaAttention

from kerasft.config.peft import PrefixConfig
from kerasft.errors import UserError
from kerasft.models.blocks import transformer_blocks
from kerasft.models.layer_classes import Changes, Form, own_class
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.inside import modules_in_files
from kerasft.peft.staying import Staying
from kerasft.peft.targets import first_depth

KEYS, VALUES = "prefix_keys", "prefix_values"
EMBEDDED, DOWN, DOWN_BIAS, UP = "embedded", "network_down", "network_down_bias", "network_up"
_STD = 0.02
_KNOWN = (keras.layers.MultiHeadAttention, keras_hub.layers.CachedMultiHeadAttention, LlamaAttention)


class Prefix:
    """Keys and values before those of one attention, (tokens, heads, width) each."""

    def __init__(self, layer: keras.layers.Layer, path: str, heads: int, width: int):
        self.layer, self.path, self.heads, self.width = layer, path, heads, width
        self.variables: dict[str, keras.Variable] = {}

    def pair(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Both as they are now."""
        return tf.convert_to_tensor(self.variables[KEYS]), tf.convert_to_tensor(self.variables[VALUES])


class Made(Prefix):
    """The same, made by a network: columns `place` of what it gives."""

    network: PrefixNetwork
    place: int

    def pair(self) -> tuple[tf.Tensor, tf.Tensor]:
        made = self.network.made(self.place, 2 * self.heads * self.width)
        keys, values = tf.split(tf.reshape(made, [-1, 2, self.heads, self.width]), 2, axis=1)
        return keys[:, 0], values[:, 0]


class PrefixNetwork:
    """tanh(E D + d) U for each attention: E (tokens, hidden), D (hidden, hidden), U (hidden, numbers of one)."""

    def __init__(self, variables: Mapping[str, keras.Variable]):
        self.variables = variables

    def made(self, place: int, size: int) -> tf.Tensor:
        """(tokens, size)"""
        own = {name: tf.convert_to_tensor(variable) for name, variable in self.variables.items()}
        inner = tf.tanh(own[EMBEDDED] @ own[DOWN] + own[DOWN_BIAS])
        return inner @ own[UP][:, place : place + size]


class PrefixTuning(Staying):
    """`model.peft.method: prefix`."""

    name = "prefix"
    generates = False
    config: PrefixConfig

    def __init__(
        self, config: PrefixConfig, model: keras.Model, backbone: keras.Model, seed: int, start: Adapter | None = None
    ):
        super().__init__(config, model, backbone, seed, start)
        random = np.random.default_rng([seed, config.tokens])
        made = config.reparameterize and start is None
        self.prefixes = [self._prefix(*found, made) for found in self._attentions()]
        self.network = self._network(random) if made else None
        for prefix in () if made else self.prefixes:
            shape = config.tokens, prefix.heads, prefix.width
            values = [random.normal(0.0, _STD, shape) for _ in (KEYS, VALUES)]
            values = values if start is None else [self._read(start, prefix, n, shape) for n in (KEYS, VALUES)]
            prefix.variables = {
                name: self.bank.add(f"{prefix.path}/{name}", value.astype(np.float32))
                for name, value in zip((KEYS, VALUES), values)
            }
        forms: Changes = []
        for prefix in self.prefixes:
            kind = type(prefix.layer)
            forms.append((prefix.layer, type(kind.__name__, (PrefixAttention, kind), {"prefix": prefix})))
        self.stay(forms)
        if config.reparameterize and start is not None:
            self.notes.append("model.peft.reparameterize: an adapter to start from has no network; it trains without")

    def _attentions(self) -> list[tuple[keras.layers.Layer, str, int, int]]:
        """Self-attentions of the layers that are changed, their paths, and heads and width of their keys."""
        blocks, lowest = transformer_blocks(self.backbone), first_depth(self.backbone, self.config.layers)
        parts = {
            id(part): part
            for depth, block in enumerate(blocks, 1)
            if depth >= lowest
            for part in block._flatten_layers()
            if own_class(part) in _KNOWN
        }
        found = []
        for layer in parts.values():
            query = layer._query_dense
            path = query.kernel.path.rsplit("/", 2)[0]
            if "cross_attention" not in path:
                _, heads, width = query.kernel.shape
                found.append((layer, path, heads, width))
        if len(found) < len(blocks) - max(lowest - 1, 0):
            raise UserError(
                f"model.peft.method: prefix does not know the attention of a {type(self.backbone).__name__}; use lora"
            )
        return found

    def _prefix(self, layer: keras.layers.Layer, path: str, heads: int, width: int, made: bool) -> Prefix:
        return (Made if made else Prefix)(layer, path, heads, width)

    def _network(self, random: np.random.Generator) -> PrefixNetwork:
        hidden, place = self.config.hidden, 0
        for prefix in self.prefixes:
            assert isinstance(prefix, Made)
            prefix.place, place = place, place + 2 * prefix.heads * prefix.width
        values = {
            EMBEDDED: random.normal(0.0, 1.0, (self.config.tokens, hidden)),
            DOWN: random.normal(0.0, hidden**-0.5, (hidden, hidden)),
            DOWN_BIAS: np.zeros(hidden),
            UP: random.normal(0.0, _STD, (hidden, place)),
        }
        network = PrefixNetwork({n: self.bank.add(f"network/{n}", v.astype(np.float32)) for n, v in values.items()})
        for prefix in self.prefixes:
            assert isinstance(prefix, Made)
            prefix.network = network
        return network

    @property
    def weights(self) -> Mapping[str, keras.Variable]:
        if self.network is not None:
            return {f"network/{name}": variable for name, variable in self.network.variables.items()}
        return {f"{p.path}/{name}": variable for p in self.prefixes for name, variable in p.variables.items()}

    @property
    def stored(self) -> Mapping[str, np.ndarray]:
        return {
            f"{prefix.path}/{name}": keras.ops.convert_to_numpy(value)
            for prefix in self.prefixes
            for name, value in zip((KEYS, VALUES), prefix.pair())
        }

    def peft_config(self) -> dict[str, Any]:
        """Not PEFT's, whose prefixes are one table in the order of its own cache."""
        return {"peft_type": "KERASFT_PREFIX", "tokens": self.config.tokens, "layers": self.config.layers}

    def tensors(self) -> dict[str, np.ndarray]:
        modules = modules_in_files(self.backbone, [prefix.path for prefix in self.prefixes])
        return {
            f"{module}.{name}": keras.ops.convert_to_numpy(value)
            for module, prefix in zip(modules, self.prefixes)
            for name, value in zip((KEYS, VALUES), prefix.pair())
        }

    def _read(self, start: Adapter, prefix: Prefix, name: str, shape: tuple[int, ...]) -> np.ndarray:
        if start.config.get("peft_type") != "KERASFT_PREFIX":
            raise UserError(
                f"{start.folder} is of {start.config.get('peft_type')}, not KERASFT_PREFIX; set model.peft.method "
                "accordingly"
            )
        modules = dict(
            zip(
                (each.path for each in self.prefixes),
                modules_in_files(self.backbone, [each.path for each in self.prefixes]),
            )
        )
        value = start.tensors.get(f"{modules[prefix.path]}.{name}")
        if value is None or value.shape != shape:
            what = "nothing" if value is None else " x ".join(map(str, value.shape))
            raise UserError(
                f"{start.folder} has {what} for {prefix.path} ({name}), and {' x '.join(map(str, shape))} are needed; "
                "use the preset and the model.peft.tokens and layers that it was trained with"
            )
        return value


class PrefixAttention(Form, keras.layers.Layer):
    """Before the class of an attention."""

    adapted = True
    prefix: Prefix

    def _compute_attention(self, query, key, value, attention_mask=None, *args, **kwargs):
        keys, values = (tf.cast(each, key.dtype) for each in self.prefix.pair())  # (tokens, heads, width)
        batch, count = tf.shape(key)[0], keys.shape[0]
        key, value = (
            tf.concat([tf.broadcast_to(own[None], [batch, *own.shape]), text], 1)
            for own, text in ((keys, key), (values, value))
        )
        if attention_mask is not None:  # (batch, to, from) -> (batch, to, tokens + from)
            kind = attention_mask.dtype
            seen = tf.ones([*tf.unstack(tf.shape(attention_mask))[:-1], count], tf.int32)
            attention_mask = tf.cast(tf.concat([seen, tf.cast(attention_mask, tf.int32)], -1), kind)
        return super()._compute_attention(query, key, value, attention_mask, *args, **kwargs)
