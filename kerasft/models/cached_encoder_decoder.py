"""Decoders that read what an encoder gives and go on by one token: keys and values of the input are computed once.

As in `kerasft.models.cached_decoder`, the layers and weights are KerasHub's, each row writes at its own place, and no
op is used that servers lack; which attributes of KerasHub's layers are read is known to these two files alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from kerasft.models.cached_decoder import KeysValues, attend, next_token_logits, own_room, with_token
from kerasft.models.decoder import Begun


class ReadInput(NamedTuple):
    """What the decoder's layers look up of the input, and (batch, input) bool, which places of it hold tokens."""

    layers: list[KeysValues]
    here: tf.Tensor


class EncoderDecoder:
    """BART as a `kerasft.models.decoder.Decoder`: an answer's row begins with the tokens that the family has for it.

    Args:
        backbone: BART.
        begin: (1 or 2,) ids that the decoder reads before the first token of an answer.
        positions: tokens that the decoder can read, these included.
    """

    def __init__(self, backbone: keras.Model, begin: np.ndarray, positions: int):
        self.backbone, self._begin = backbone, begin
        # A row is one start token and an answer, the last token of which is not read.
        self.max_length = positions - len(begin) + 2

    def asked(self, features: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return features["encoder_token_ids"], tf.reduce_sum(features["encoder_padding_mask"], axis=1)

    def begin(self, features: Mapping[str, tf.Tensor], limits: tf.Tensor) -> Begun:
        """Reads an input, and what an answer begins with.

        Args:
            features: `encoder_token_ids` and `encoder_padding_mask`, (batch, longest) int32.
            limits: (batch,) int32, below max_length.
        """
        here = features["encoder_padding_mask"] > 0  # (batch, input)
        encoded = encode(self.backbone, features["encoder_token_ids"], here)
        rows, count = tf.shape(here)[0], len(self._begin)
        token_ids = tf.tile(tf.constant(self._begin)[tf.newaxis], [rows, 1])
        room = count + tf.reduce_max(tf.concat([limits, [0]], 0))
        cache, read = [], ReadInput([], here)
        for layer in self.backbone.decoder_transformer_layers:
            heads, width = layer.num_heads, encoded.shape[2] // layer.num_heads
            shape = [rows, heads, room, width]
            cache.append(KeysValues(*(own_room(shape, encoded.dtype) for _ in KeysValues._fields)))
            found = (tf.transpose(part, [0, 2, 1, 3]) for part in _projected(layer._cross_attention_layer, encoded))
            read.layers.append(KeysValues(*found))
        for place in range(count):
            hidden, cache = self.go_on(token_ids[:, place], tf.fill([rows], place), cache, read)
        return Begun(token_ids, tf.fill([rows], count), hidden, cache, read)

    def go_on(
        self, token_ids: tf.Tensor, places: tf.Tensor, cache: list[KeysValues], shared: ReadInput
    ) -> tuple[tf.Tensor, list[KeysValues]]:
        x = _embed(self.backbone, "decoder", token_ids[:, tf.newaxis], places[:, tf.newaxis])
        room = tf.shape(cache[0].keys)[2]
        before = (tf.range(room) <= places[:, tf.newaxis])[:, tf.newaxis]  # (batch, 1, room)
        updated = []
        for layer, kept, read in zip(self.backbone.decoder_transformer_layers, cache, shared.layers, strict=True):
            said = with_token(kept, _projected(layer._self_attention_layer, x), places)
            x = _attended(layer, "self", x, said, before)
            x = _attended(layer, "cross", x, read, shared.here[:, tf.newaxis])
            x = _fed_forward(layer, x)
            updated.append(said)
        return x[:, 0], updated

    def logits(self, hidden: tf.Tensor) -> tf.Tensor:
        return next_token_logits(self.backbone, hidden)


def encode(backbone: keras.Model, token_ids: tf.Tensor, here: tf.Tensor) -> tf.Tensor:
    """(batch, input) ids, and bool which are tokens -> (batch, input, hidden)."""
    x = _embed(backbone, "encoder", token_ids, tf.range(tf.shape(token_ids)[1])[tf.newaxis])
    for layer in backbone.encoder_transformer_layers:
        x = layer(x, padding_mask=here, training=False)
    return x


def _embed(backbone: keras.Model, side: str, token_ids: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    x = backbone.token_embedding(token_ids)
    learnt = tf.convert_to_tensor(getattr(backbone, f"{side}_position_embedding").position_embeddings)
    x += tf.cast(tf.gather(learnt, places), x.dtype)
    return getattr(backbone, f"{side}_embeddings_layer_norm")(x)


def _projected(attention: keras.layers.Layer, x: tf.Tensor) -> KeysValues:
    """(batch, tokens, hidden) -> what an attention layer looks up, (batch, tokens, heads, width)."""
    return KeysValues(attention._key_dense(x), attention._value_dense(x))


def _attended(layer: keras.layers.Layer, kind: str, x: tf.Tensor, kept: KeysValues, seen: tf.Tensor) -> tf.Tensor:
    """KerasHub's TransformerDecoder with normalisation last: attention to what is kept, added and normalised.

    Where several rows of x look up one row of what is kept, they stand there as if they were tokens of it.
    """
    attention = getattr(layer, f"_{kind}_attention_layer")
    query = attention._query_dense(x)  # (rows, 1, heads, width)
    together = tf.reshape(query, [tf.shape(kept.keys)[0], -1, *query.shape[2:]])
    found = tf.reshape(attend(together, kept, seen), tf.shape(query))
    return getattr(layer, f"_{kind}_attention_layer_norm")(x + attention._output_dense(found))


def _fed_forward(layer: keras.layers.Layer, x: tf.Tensor) -> tf.Tensor:
    inner = layer._feedforward_output_dense(layer._feedforward_intermediate_dense(x))
    return layer._feedforward_layer_norm(x + inner)
