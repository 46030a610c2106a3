"""Decoders that read what an encoder gives and go on by one token: keys and values of the input are computed once.

As in `kerasft.models.generation.cached_decoder`, the layers and weights are KerasHub's, each row writes at its own
place, and no op is used that servers lack; which attributes of KerasHub's layers are read is known to these two files
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasft.models.generation.cached_decoder import KeysValues, attend, own_room, with_token
from kerasft.models.generation.decoder import PrefillState
from kerasft.models.heads.seq2seq_lm import output_logits


class ReadInput(NamedTuple):
    """What the decoder's layers look up of the input, and (batch, input) bool, which places of it hold tokens."""

    layers: list[KeysValues]
    here: tf.Tensor


class EncoderDecoder:
    """BART or T5 as a `kerasft.models.generation.decoder.Decoder`: answers begin with the tokens that the family has.

    Args:
        backbone: BART or T5.
        begin: (1 or 2,) ids that the decoder reads before the first token of an answer.
        positions: tokens that the decoder can read, these included.
    """

    def __init__(self, backbone: keras.Model, begin: np.ndarray, positions: int):
        self.backbone, self._begin = backbone, begin
        self._form = _FORMS[type(backbone).__name__]
        # A row is one start token and an answer, the last token of which is not read.
        self.max_length = positions - len(begin) + 2

    def prompt_ids(self, features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return features["encoder_token_ids"], tf.reduce_sum(features["encoder_padding_mask"], axis=1)

    def prefill(self, features: Mapping[str, tf.Tensor], limits: tf.Tensor) -> PrefillState:
        """Reads an input, and what an answer begins with.

        Args:
            features: `encoder_token_ids` and `encoder_padding_mask`, (batch, longest) int32.
            limits: (batch,) int32, below max_length.
        """
        here = features["encoder_padding_mask"] > 0  # (batch, input)
        encoded = self._form.encode(self.backbone, features["encoder_token_ids"], here)
        rows, count = tf.shape(here)[0], len(self._begin)
        token_ids = tf.tile(tf.constant(self._begin)[tf.newaxis], [rows, 1])  # (count,) -> (rows, count)
        room = count + tf.reduce_max(tf.concat([limits, [0]], 0))
        cache, read = [], ReadInput([], here)
        for layer in self.backbone.decoder_transformer_layers:
            keys_values = KeysValues(
                *(tf.transpose(part, [0, 2, 1, 3]) for part in self._form.input_keys_values(layer, encoded))
            )
            shape = [rows, keys_values.keys.shape[1], room, keys_values.keys.shape[3]]
            cache.append(KeysValues(*(own_room(shape, encoded.dtype) for _ in KeysValues._fields)))
            read.layers.append(keys_values)
        hidden, cache = self.decode_step(token_ids[:, 0], tf.fill([rows], 0), cache, read)
        for position in range(1, count):
            hidden, cache = self.decode_step(token_ids[:, position], tf.fill([rows], position), cache, read)
        return PrefillState(token_ids, tf.fill([rows], count), hidden, cache, read)

    def decode_step(
        self, token_ids: tf.Tensor, positions: tf.Tensor, cache: list[KeysValues], shared: ReadInput
    ) -> tuple[tf.Tensor, list[KeysValues]]:
        form, room = self._form, tf.shape(cache[0].keys)[2]
        x = form.embed(
            self.backbone, "decoder", token_ids[:, tf.newaxis], positions[:, tf.newaxis]
        )  # (batch, 1, hidden)
        before = (tf.range(room) <= positions[:, tf.newaxis])[:, tf.newaxis]  # (batch, 1, room)
        bias = form.bias(self.backbone, positions, room)
        updated = []
        for layer, layer_cache, read in zip(
            self.backbone.decoder_transformer_layers, cache, shared.layers, strict=True
        ):
            grown = with_token(layer_cache, form.own_keys_values(layer, x), positions)
            x = form.add_attention(layer, "self", x, grown, before, bias)
            x = form.add_attention(layer, "cross", x, read, shared.here[:, tf.newaxis], None)
            x = form.feed_forward(layer, x)
            updated.append(grown)
        return form.finish(self.backbone, x)[:, 0], updated

    def logits(self, hidden: tf.Tensor) -> tf.Tensor:
        return output_logits(self.backbone, hidden)


def _look_up(query: tf.Tensor, keys_values: KeysValues, mask: tf.Tensor, *how: Any) -> tf.Tensor:
    """(rows, 1, heads, width) -> the same. `how` is the scale and the bias of `attend`.

    Where several rows look up one row of what is kept, they stand there as if they were tokens of it.
    """
    # (rows, 1, heads, width) -> (rows of what is kept, rows of each, heads, width)
    together = tf.reshape(query, [tf.shape(keys_values.keys)[0], -1, *query.shape[2:]])
    return tf.reshape(attend(together, keys_values, mask, *how), tf.shape(query))


class _Bart:
    """KerasHub's TransformerEncoder and TransformerDecoder with normalisation last, and learnt positions."""

    @staticmethod
    def embed(backbone, side, token_ids, positions):
        x = backbone.token_embedding(token_ids)
        learnt = tf.convert_to_tensor(getattr(backbone, f"{side}_position_embedding").position_embeddings)
        x += tf.cast(tf.gather(learnt, positions), x.dtype)
        return getattr(backbone, f"{side}_embeddings_layer_norm")(x)

    @staticmethod
    def encode(backbone, token_ids, here):
        x = _Bart.embed(backbone, "encoder", token_ids, tf.range(tf.shape(token_ids)[1])[tf.newaxis])
        for layer in backbone.encoder_transformer_layers:
            x = layer(x, padding_mask=here, training=False)
        return x

    @staticmethod
    def bias(backbone, positions, room):
        return None

    @staticmethod
    def own_keys_values(layer, x):
        attention = layer._self_attention_layer
        return KeysValues(attention._key_dense(x), attention._value_dense(x))

    @staticmethod
    def input_keys_values(layer, encoded):
        attention = layer._cross_attention_layer
        return KeysValues(attention._key_dense(encoded), attention._value_dense(encoded))

    @staticmethod
    def add_attention(layer, kind, x, keys_values, mask, bias):
        attention = getattr(layer, f"_{kind}_attention_layer")
        context = _look_up(attention._query_dense(x), keys_values, mask)
        return getattr(layer, f"_{kind}_attention_layer_norm")(x + attention._output_dense(context))

    @staticmethod
    def feed_forward(layer, x):
        inner = layer._feedforward_output_dense(layer._feedforward_intermediate_dense(x))
        return layer._feedforward_layer_norm(x + inner)

    @staticmethod
    def finish(backbone, x):
        return x


class _T5:
    """KerasHub's T5TransformerLayer: normalisation first, scores as they are, and a bias by distance in place of
    positions, which the first layer has for all (Raffel et al. 2019, arXiv:1910.10683)."""

    @staticmethod
    def embed(backbone, side, token_ids, positions):
        return backbone.token_embedding(token_ids)

    @staticmethod
    def encode(backbone, token_ids, here):
        x, bias = backbone.token_embedding(token_ids), None
        mask = tf.cast(here, tf.int32)[:, tf.newaxis]  # (batch, 1, input)
        for layer in backbone.encoder_transformer_layers:
            x, bias = layer(x, attention_mask=mask, position_bias=bias, use_causal_mask=False, training=False)
        return backbone.encoder_layer_norm(x)

    @staticmethod
    def bias(backbone, positions, room):
        """(batch,) places -> (batch, heads, 1, room): KerasHub's has one place for the whole batch."""
        attention = backbone.decoder_transformer_layers[0].self_attention
        bucket = attention._relative_position_bucket(
            tf.range(room) - positions[:, tf.newaxis],
            bidirectional=False,
            num_buckets=attention.relative_attention_buckets,
            max_distance=attention.relative_attention_max_distance,
        )
        biases = tf.gather(tf.convert_to_tensor(attention.relative_attention_bias), bucket)  # (batch, room, heads)
        return tf.transpose(biases, [0, 2, 1])[:, :, tf.newaxis]  # -> (batch, heads, 1, room)

    @staticmethod
    def own_keys_values(layer, x):
        return _T5._projected(layer.self_attention, layer.self_attention_layer_norm(x))

    @staticmethod
    def input_keys_values(layer, encoded):
        return _T5._projected(layer.cross_attention, encoded)

    @staticmethod
    def _projected(attention, x):
        parts = (attention.key_projector(x), attention.value_projector(x))
        return KeysValues(*(_T5._heads(attention, part) for part in parts))

    @staticmethod
    def _heads(attention, x):
        return tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], attention.num_heads, attention.key_value_dim])

    @staticmethod
    def add_attention(layer, kind, x, keys_values, mask, bias):
        attention = getattr(layer, f"{kind}_attention")
        query = attention.query_projector(getattr(layer, f"{kind}_attention_layer_norm")(x))
        context = _look_up(_T5._heads(attention, query), keys_values, mask, 1.0, bias)
        return x + attention.output_projector(tf.reshape(context, tf.shape(query)))  # heads, width -> one axis again

    @staticmethod
    def feed_forward(layer, x):
        normal = layer.layer_norm(x)
        inner = layer.input_projector(normal)
        if layer.use_gated_activation:
            inner *= layer.gate_projector(normal)
        return x + layer.output_projector(inner)

    @staticmethod
    def finish(backbone, x):
        return backbone.decoder_layer_norm(x)


_FORMS = {"BartBackbone": _Bart, "T5Backbone": _T5}
