"""Rows of a decoder whose tokens do not simply follow each other, such as several texts behind one prompt."""

from __future__ import annotations

import keras
import tensorflow as tf

from kerasft.models.generation.cached_decoder import FORMS, KeysValues, attend, embed_tokens


def read_masked(backbone: keras.Model, token_ids: tf.Tensor, positions: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Reads rows whose tokens have places of their own and see what a mask lets them see.

    Args:
        backbone: GPT-2, Llama or Mistral, which sees no further than its window.
        token_ids, positions: (batch, length) int32.
        mask: (batch, to, from) bool.

    Returns:
        (batch, length, hidden) as the backbone gives.
    """
    if (window := getattr(backbone, "sliding_window", None)) is not None:
        mask &= positions[:, :, tf.newaxis] < positions[:, tf.newaxis] + window
    x = embed_tokens(backbone, token_ids, positions)
    for layer in backbone.transformer_layers:
        form = FORMS[type(layer).__name__]
        query, key, value = form.project(layer, x, positions)
        keys_values = KeysValues(*(tf.transpose(part, [0, 2, 1, 3]) for part in (key, value)))
        x = form.finish(layer, x, attend(query, keys_values, mask))
    return backbone.layer_norm(x)
