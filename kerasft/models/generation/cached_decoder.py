"""Decoders that go on by one token: what earlier tokens gave is kept, in graph, without the ops that servers lack.

KerasHub's own cached path (0.25 to 0.32) writes with `keras.ops.slice_update`, which is an Xla op on TensorFlow, at one
place for the whole batch, and copies the cache at each layer. Here each row writes at its own place, so rows need no
padding between a prompt and its answer, and nothing is copied. The layers and weights are KerasHub's; which
of its attributes are read is known to this file alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from kerasft.models.generation.decoder import PrefillState
from kerasft.models.shapes import static_size

_MASKED = -1e9


class KeysValues(NamedTuple):
    """What a layer keeps of earlier tokens: (batch, key heads, capacity, width) each."""

    keys: tf.Tensor
    values: tf.Tensor


class CausalDecoder:
    """A causal language model as a `kerasft.models.generation.decoder.Decoder`: prompt and answer share one row.

    Args:
        backbone: GPT-2, Llama or Mistral.
        max_length: tokens of a prompt and its answer together.
    """

    def __init__(self, backbone: keras.Model, max_length: int):
        self.backbone, self.max_length = backbone, max_length

    def prompt_ids(self, features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return features["token_ids"], features["lengths"]

    def prefill(self, features: Mapping[str, tf.Tensor], limits: tf.Tensor) -> PrefillState:
        """Where a prompt leaves too little room, its last tokens are kept.

        Args:
            features: `token_ids` (batch, longest) int32 prompts, what stands behind `lengths` is of no account;
                `lengths` (batch,) int32, 1 or more.
            limits: (batch,) int32, below max_length.
        """
        token_ids, lengths = _last_tokens(*self.prompt_ids(features), self.max_length - limits)
        capacity = tf.maximum(tf.shape(token_ids)[1], _largest(lengths + limits))
        hidden, cache = read_prompt(self.backbone, token_ids, capacity)
        return PrefillState(token_ids, lengths, tf.gather(hidden, lengths - 1, batch_dims=1), cache)

    def decode_step(
        self, token_ids: tf.Tensor, positions: tf.Tensor, cache: list[KeysValues], shared: tuple[()]
    ) -> tuple[tf.Tensor, list[KeysValues]]:
        return read_token(self.backbone, token_ids, positions, cache)

    def logits(self, hidden: tf.Tensor) -> tf.Tensor:
        return next_token_logits(self.backbone, hidden)


def _last_tokens(token_ids: tf.Tensor, lengths: tf.Tensor, room: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """(batch, longest), (batch,), (batch,) 1 or more -> the same with at most `room` tokens of each row, its last."""
    counts = tf.minimum(lengths, room)
    positions = (lengths - counts)[:, tf.newaxis] + tf.range(_largest(counts))  # (batch, most that are kept)
    return tf.gather(token_ids, tf.minimum(positions, tf.shape(token_ids)[1] - 1), batch_dims=1), counts


def _largest(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.concat([values, [1]], 0))


def read_prompt(backbone: keras.Model, token_ids: tf.Tensor, capacity: tf.Tensor) -> tuple[tf.Tensor, list[KeysValues]]:
    """Reads rows from their start.

    Args:
        backbone: GPT-2, Llama or Mistral.
        token_ids: (batch, length), what stands behind a row's own tokens is of no account.
        capacity: tokens a row can come to, `length` or more.

    Returns:
        (batch, length, hidden) as the backbone gives, and what its layers keep.
    """
    length = tf.shape(token_ids)[1]
    positions = tf.range(length)[tf.newaxis]  # (1, length)
    mask = _causal_mask(backbone, positions, length)  # (1, to, from)
    x, cache = embed_tokens(backbone, token_ids, positions), []
    for layer in backbone.transformer_layers:
        form = FORMS[type(layer).__name__]
        query, key, value = form.project(layer, x, positions)
        layer_cache = KeysValues(*(tf.transpose(part, [0, 2, 1, 3]) for part in (key, value)))
        x = form.finish(layer, x, attend(query, layer_cache, mask))
        room = [[0, 0], [0, 0], [0, capacity - length], [0, 0]]
        cache.append(KeysValues(*(tf.pad(part, room) for part in layer_cache)))
    return backbone.layer_norm(x), cache


def read_token(
    backbone: keras.Model, token_ids: tf.Tensor, positions: tf.Tensor, cache: list[KeysValues]
) -> tuple[tf.Tensor, list[KeysValues]]:
    """Reads one more token of each row.

    Args:
        backbone: GPT-2, Llama or Mistral.
        token_ids: (batch,).
        positions: (batch,) int32 tokens that stand before it in its row.
        cache: of those.

    Returns:
        (batch, hidden), and the cache with this token.
    """
    mask = _causal_mask(backbone, positions[:, tf.newaxis], tf.shape(cache[0].keys)[2])  # (batch, 1, capacity)
    x, updated = embed_tokens(backbone, token_ids[:, tf.newaxis], positions[:, tf.newaxis]), []  # (batch, 1, hidden)
    for layer, layer_cache in zip(backbone.transformer_layers, cache):
        form = FORMS[type(layer).__name__]
        query, *new = form.project(layer, x, positions[:, tf.newaxis])
        layer_cache = with_token(layer_cache, KeysValues(*new), positions)
        x = form.finish(layer, x, attend(query, layer_cache, mask))
        updated.append(layer_cache)
    return backbone.layer_norm(x)[:, 0], updated


def with_token(cache: KeysValues, new: KeysValues, positions: tf.Tensor) -> KeysValues:
    """What is kept with one token more of each row, (batch, 1, key heads, width), at (batch,) places.

    It is written where `cache` stands, which is not to be read as it was any more: TensorFlow (2.20) copies all that is
    kept at each TensorScatterUpdate. A place is written before anything that sees it reads it, so none is read halfway.
    """
    batch, capacity, heads = tf.shape(cache.keys)[0], tf.shape(cache.keys)[2], static_size(cache.keys, 1)
    rows = tf.range(batch * heads) * capacity + tf.repeat(positions, heads)  # where each head's key and value go
    return KeysValues(*(_update(old, rows, part) for old, part in zip(cache, new)))


def _update(old: tf.Tensor, rows: tf.Tensor, new: tf.Tensor) -> tf.Tensor:
    width = old.shape[3]
    flat, values = tf.reshape(old, [-1, width]), tf.cast(tf.reshape(new, [-1, width]), old.dtype)  # (rows, width)
    if tf.config.list_logical_devices("TPU"):  # XLA has no such op, and updates in place by itself
        return tf.reshape(tf.tensor_scatter_nd_update(flat, rows[:, tf.newaxis], values), tf.shape(old))
    updated = tf.reshape(tf.raw_ops.InplaceUpdate(x=flat, i=rows, v=values), tf.shape(old))
    updated.set_shape(old.shape)
    return updated


def own_room(shape: list, dtype: tf.DType) -> tf.Tensor:
    """Zeros that no other tensor shares, whatever TensorFlow finds to be alike, for `with_token` to write to."""
    return tf.raw_ops.Empty(shape=shape, dtype=dtype, init=True)


def next_token_logits(backbone: keras.Model, hidden: tf.Tensor) -> tf.Tensor:
    """(batch, hidden) -> (batch, vocabulary) float32."""
    return tf.cast(backbone.token_embedding(hidden, reverse=True), tf.float32)


def embed_tokens(backbone: keras.Model, token_ids: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    x = backbone.token_embedding(token_ids)
    learnt = getattr(backbone, "position_embedding", None)
    if learnt is None:  # rotary, within attention
        return x
    return x + tf.cast(tf.gather(tf.convert_to_tensor(learnt.position_embeddings), positions), x.dtype)


def _causal_mask(backbone: keras.Model, positions: tf.Tensor, room: tf.Tensor) -> tf.Tensor:
    """(batch or 1, to) places -> (batch or 1, to, room) bool: those up to each; Mistral sees a window of the newest."""
    at, to = tf.range(room), positions[..., tf.newaxis]  # (room,), (batch or 1, to, 1)
    window = getattr(backbone, "sliding_window", None)
    return at <= to if window is None else (at <= to) & (to < at + window)


def attend(
    query: tf.Tensor,
    keys_values: KeysValues,
    mask: tf.Tensor,
    scale: float | None = None,
    bias: tf.Tensor | None = None,
) -> tf.Tensor:
    """(batch, to, heads, width), keys and values, (batch or 1, to, from) bool -> (batch, to, heads, width).

    Llama's query heads share key heads, several neighbours one.

    Args:
        scale: of scores; None: by the root of the width.
        bias: (batch or 1, heads, to, from), added to them.
    """
    batch, length = tf.shape(query)[0], tf.shape(query)[1]
    shared, heads, width = static_size(keys_values.keys, 1), static_size(query, 2), static_size(query, 3)
    grouped = tf.reshape(query, [batch, length, shared, heads // shared, width])  # query heads by their key head
    grouped = tf.transpose(grouped, [0, 2, 3, 1, 4])  # (batch, key heads, heads of each, to, width)
    flat = tf.reshape(grouped, [batch, shared, -1, width])  # (batch, key heads, heads of each * to, width)
    flat = tf.cast(flat * (width**-0.5 if scale is None else scale), keys_values.keys.dtype)
    scores = tf.matmul(flat, keys_values.keys, transpose_b=True)  # (batch, key heads, heads of each * to, from)
    scores = tf.reshape(scores, [batch, shared, heads // shared, length, tf.shape(scores)[3]])  # heads and to apart
    if bias is not None:
        scores += tf.cast(tf.reshape(bias, tf.concat([tf.shape(bias)[:1], tf.shape(scores)[1:]], 0)), scores.dtype)
    scores = tf.where(mask[:, tf.newaxis, tf.newaxis], tf.cast(scores, tf.float32), _MASKED)
    weights = tf.cast(tf.nn.softmax(scores), keys_values.values.dtype)
    weights = tf.reshape(weights, [batch, shared, -1, tf.shape(scores)[4]])  # heads of each * to, again
    context = tf.cast(tf.matmul(weights, keys_values.values), query.dtype)
    context = tf.reshape(context, tf.shape(grouped))
    return tf.reshape(tf.transpose(context, [0, 3, 1, 2, 4]), [batch, length, heads, width])


class _GPT2:
    """KerasHub's TransformerDecoder with normalisation first."""

    @staticmethod
    def project(layer, x, positions):
        x = layer._self_attention_layer_norm(x)
        attention = layer._self_attention_layer
        return attention._query_dense(x), attention._key_dense(x), attention._value_dense(x)

    @staticmethod
    def finish(layer, x, attended):
        x += layer._self_attention_layer._output_dense(attended)
        inner = layer._feedforward_intermediate_dense(layer._feedforward_layer_norm(x))
        return x + layer._feedforward_output_dense(inner)


class _Llama:
    """KerasHub's LlamaTransformerDecoder, and Mistral's: rotary positions, a gated feed-forward part."""

    @staticmethod
    def project(layer, x, positions):
        x = layer._self_attention_layernorm(x)
        attention = layer._self_attention_layer
        turn = attention.rotary_embedding_layer
        query, key = (turn(dense(x), positions=positions) for dense in (attention._query_dense, attention._key_dense))
        return query, key, attention._value_dense(x)

    @staticmethod
    def finish(layer, x, attended):
        x += layer._self_attention_layer._output_dense(attended)
        normal = layer._feedforward_layernorm(x)
        gate = layer.activation(tf.cast(layer._feedforward_gate_dense(normal), tf.float32))
        inner = layer._feedforward_intermediate_dense(normal)
        return x + layer._feedforward_output_dense(inner * tf.cast(gate, inner.dtype))


FORMS = {"TransformerDecoder": _GPT2, "LlamaTransformerDecoder": _Llama, "MistralTransformerDecoder": _Llama}
