"""Rows of a decoder whose tokens do not simply follow each other, such as several texts behind one prompt."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from kerasft.models.generation.cached_decoder import FORMS, KeysValues, attend, embed_tokens


def read_masked(
    backbone: keras.Model,
    token_ids: tf.Tensor,
    positions: tf.Tensor,
    mask: tf.Tensor,
    before: Sequence[KeysValues] = (),
) -> tf.Tensor:
    """Reads rows whose tokens have places of their own and see what a mask lets them see.

    Args:
        backbone: GPT-2, Llama or Mistral, which sees no further than its window.
        token_ids, positions: (batch, length) int32.
        mask: (batch, to, from) bool; with `before`, what it has comes first.
        before: of each layer, what it keeps of tokens that stand before every row, (1, key heads, tokens, width).

    Returns:
        (batch, length, hidden) as the backbone gives.
    """
    if (window := getattr(backbone, "sliding_window", None)) is not None:
        earlier = tf.range(tf.shape(mask)[2] - tf.shape(positions)[1])  # places of what stands before every row
        places = tf.concat([tf.broadcast_to(earlier, [tf.shape(mask)[0], tf.size(earlier)]), positions], axis=1)
        mask &= positions[:, :, tf.newaxis] < places[:, tf.newaxis] + window
    x = embed_tokens(backbone, token_ids, positions)
    for index, layer in enumerate(backbone.transformer_layers):
        form = FORMS[type(layer).__name__]
        query, key, value = form.project(layer, x, positions)
        keys_values = KeysValues(*(tf.transpose(part, [0, 2, 1, 3]) for part in (key, value)))
        if before:
            rows = [tf.shape(x)[0], 1, 1, 1]
            keys_values = KeysValues(
                *(tf.concat([tf.tile(old, rows), new], axis=2) for old, new in zip(before[index], keys_values))
            )
        x = form.finish(layer, x, attend(query, keys_values, mask))
    return backbone.layer_norm(x)
