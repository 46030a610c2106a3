"""A causal language model: a decoder that says at each token which one follows."""

from __future__ import annotations

import keras
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.families import check_decoder
from kerasft.models.presets.layer_settings import settings_of
from kerasft.models.shapes import static_size


class CausalLM(keras.Model):
    """A decoder with its token embedding as the output layer (Press and Wolf 2016, arXiv:1608.05859).

    Call it with the backbone's inputs -> (batch, length, vocabulary) float32 logits. Where a family has an output
    layer of its own, such as large Llamas, KerasHub keeps it in the same place, and it is used.

    Args:
        backbone: a KerasHub decoder; see `kerasft.models.generation.cached_decoder`.

    Raises:
        UserError: it is none that texts are written with here, or its preset has no output layer.
    """

    def __init__(self, backbone: keras.Model, **kwargs):
        check_decoder(backbone)
        if "output layer" in settings_of(backbone).get("missing", ()):
            raise UserError(
                "model.preset: its weights have no lm_head.weight, with which texts are written; save the model with "
                f"it, such as a LlamaForCausalLM, not the {type(backbone).__name__} alone"
            )
        logits = backbone.token_embedding(backbone.output, reverse=True)
        super().__init__(backbone.input, keras.ops.cast(logits, "float32"), **kwargs)
        self.backbone = backbone


def causal_lm_loss(targets: tf.Tensor, logits: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """Mean cross-entropy of the tokens of a row that follow.

    Args:
        targets: (batch, length) int32 ids, or negative: nothing is to be said here.
        logits: (batch, length, vocabulary).
        smoothing: share of each target that is spread over the whole vocabulary (Szegedy et al. 2015,
            arXiv:1512.00567).

    Returns:
        (batch,) nats, 0 for a row in which nothing is to be said.
    """
    ids = tf.maximum(targets, 0)
    if smoothing:
        width = static_size(logits, 2)
        labels = tf.one_hot(ids, width, 1 - smoothing + smoothing / width, smoothing / width)
        each = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
    else:
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(ids, logits)
    real = tf.cast(targets >= 0, logits.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(each * real, 1), tf.reduce_sum(real, 1))


def condense(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """(batch, length), (batch, length, vocabulary) -> (batch, length, 2) float32.

    The next token's log-probability, and 1 where it is the likeliest.
    """
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(targets, 0), logits)
    right = tf.argmax(logits, axis=2, output_type=targets.dtype) == targets  # (batch, length)
    return tf.stack([-loss, tf.cast(right, tf.float32)], axis=2)
