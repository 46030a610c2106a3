"""Forms of layers that run on kernels of our own (`kerasft.kernels`): see `fused_layers`."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from keras_hub.src.layers.modeling.transformer_layer_utils import merge_padding_and_attention_mask

from kerasft.kernels import operations
from kerasft.models.layer_classes import Form, as_made, own_class
from kerasft.training.layers.kernel_products import bias_of_layer, in_form_of_products, product
from kerasft.training.layers.plain_layers import Dense, MultiHeadAttention, normalizes_last, reads_float32
from kerasft.training.layers.precision import product_type


class KernelDropout(Form, keras.layers.Dropout):
    """One pass; the rate becomes the nearest multiple of 1/256."""

    def call(self, inputs, training=False):
        if not training or inputs.dtype != tf.float32 or self.noise_shape is not None or not possible(self.rate):
            return super().call(inputs, training=training)
        return operations.dropout(inputs, next_seed(self), self.rate)


class KernelLayerNormalization(Form, keras.layers.LayerNormalization):
    """One pass forward and one back."""

    def call(self, inputs):
        if not normalizes_last(self, inputs):
            return super().call(inputs)
        return operations.norm(inputs, *scale_and_offset(self), self.epsilon)


class KernelDense(Dense):
    """With GELU as one pass that adds the bias, too."""

    def call(self, inputs, training=None):
        approximate = gelu_of(self.activation) if self.bias is not None and reads_float32(self) else None
        if approximate is None or self.bias is None:
            return super().call(inputs, training=training)
        outputs = tf.matmul(tf.reshape(inputs, [-1, inputs.shape[-1]]), tf.convert_to_tensor(self.kernel))
        outputs = operations.gelu(outputs, tf.convert_to_tensor(self.bias), approximate)
        result = tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-1], [self.units]], 0))
        result.set_shape([*inputs.shape[:-1], self.units])
        return result


class KernelMultiHeadAttention(MultiHeadAttention):
    """Mask, softmax and dropout as one pass."""

    def shares(self, query, key, attention_mask, training):
        return attention_weights(self, query, key, attention_mask, training)


class KernelEncoder(Form, keras_hub.layers.TransformerEncoder):
    """What stands between two matrix products is one pass, in the type that they read and give."""

    def call(self, inputs, padding_mask=None, attention_mask=None, training=None, return_attention_scores=False):
        approximate = gelu_of(self._feedforward_intermediate_dense.activation) if plain_encoder(self, inputs) else None
        if return_attention_scores or approximate is None:
            return super().call(inputs, padding_mask, attention_mask, training, return_attention_scores)
        mask = merge_padding_and_attention_mask(inputs, padding_mask, attention_mask)
        attention, inner, outer = (
            self._self_attention_layer,
            self._feedforward_intermediate_dense,
            self._feedforward_output_dense,
        )
        width, kind = inputs.shape[-1], product_type()
        flat = tf.reshape(inputs, [-1, width])  # (batch * length, hidden)
        hidden = attended(attention, tf.cast(flat, kind), tf.shape(inputs), mask, training)
        joins = self._self_attention_dropout, self._self_attention_layer_norm
        last = attention._output_dense
        hidden, operand = joined(product(hidden, last, training), last, flat, *joins, training)
        active = operations.gelu(product(operand, inner, training), bias_of_layer(inner), approximate)
        joins = self._feedforward_dropout, self._feedforward_layer_norm
        hidden, _ = joined(product(active, outer, training), outer, hidden, *joins, training)
        result = tf.reshape(hidden, tf.shape(inputs))  # (batch * length, hidden) -> (batch, length, hidden)
        result.set_shape(inputs.shape)
        return result


def plain_encoder(layer: keras_hub.layers.TransformerEncoder, inputs: tf.Tensor) -> bool:
    """Whether it is BERT's: as KerasHub made it but for adapters, normalised behind each residual, all in float32."""
    if layer.normalize_first or not as_made(layer, adapters=True):
        return False
    norms = layer._self_attention_layer_norm, layer._feedforward_layer_norm
    whole = all(dense.bias is not None and dense.compute_dtype == "float32" for dense in denses(layer))
    return whole and all(normalizes_last(norm, inputs) for norm in norms)


def denses(layer: keras_hub.layers.TransformerEncoder) -> list[keras.layers.Layer]:
    attention = layer._self_attention_layer
    projections = attention._query_dense, attention._key_dense, attention._value_dense, attention._output_dense
    return [*projections, layer._feedforward_intermediate_dense, layer._feedforward_output_dense]


@contextlib.contextmanager
def kernels_ready(model: keras.layers.Layer) -> Iterator[None]:
    """Weights of encoder layers are brought into the form of products here, and not by each part of a batch inside."""
    encoders = [
        layer for layer in model._flatten_layers() if isinstance(layer, KernelEncoder) and as_made(layer, adapters=True)
    ]
    with in_form_of_products([dense for layer in encoders for dense in denses(layer) if dense.bias is not None]):
        yield


def attended(attention: keras.layers.MultiHeadAttention, x, shape, mask, training) -> tf.Tensor:
    """x (batch * length, hidden) -> (batch * length, hidden), before the output's projection."""
    heads, width = attention._num_heads, attention._key_dim
    layers = attention._query_dense, attention._key_dense, attention._value_dense
    if operations.has_attention() and (x.dtype == tf.float32 or operations.has_products()):
        q, k, v = (product(x, layer, training, biased=True) for layer in layers)
        seed, rate = seed_and_rate(attention._dropout_layer if attention._dropout > 0.0 else None, training)
        return operations.attention(q, k, v, bias_of(mask, shape), seed, heads, rate, attention._inverse_sqrt_key_dim)

    def projected(layer: keras.layers.Layer) -> tf.Tensor:
        parts = product(x, layer, training, biased=True)
        return tf.transpose(tf.reshape(parts, [shape[0], shape[1], heads, width]), [0, 2, 1, 3])

    query, key, value = (projected(layer) for layer in layers)  # (batch, heads, length, width)
    weights = attention_weights(attention, query, key, mask, training)
    return tf.reshape(tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3]), [-1, heads * width])


def joined(x, layer: keras.layers.Layer, residual, dropout, norm, training) -> tuple[tf.Tensor, tf.Tensor]:
    """norm(dropout(x + bias) + residual), the layer's bias; in float32 and in the type of products."""
    joins = *scale_and_offset(norm), *seed_and_rate(dropout, training), norm.epsilon
    return operations.residual_norm(x, bias_of_layer(layer), residual, *joins)


def attention_weights(attention: keras.layers.MultiHeadAttention, query, key, mask, training) -> tf.Tensor:
    """query, key (batch, heads, to or from, width), mask (batch, 1 or to, from) -> (batch, heads, to, from)."""
    scores = tf.matmul(query, key, transpose_b=True)
    bias = bias_of(mask, tf.gather(tf.shape(scores), [0, 3]))
    dropout = attention._dropout_layer if attention._dropout > 0.0 else None
    return operations.attention_weights(
        scores, bias, *seed_and_rate(dropout, training), attention._inverse_sqrt_key_dim
    )


def bias_of(mask: tf.Tensor | None, shape: tf.Tensor) -> tf.Tensor:
    """What is added to scores: mask (batch, 1 or to, from) -> the same; shape begins with batch and from."""
    if mask is None:
        return tf.zeros([shape[0], 1, shape[1]])
    return (tf.cast(mask, tf.float32) - 1.0) * 1e9


def possible(rate: float) -> bool:
    """Whether a byte an element can draw it."""
    return 0 < operations.dropped_bytes(rate) < operations.BYTES


def seed_and_rate(dropout: keras.layers.Dropout | None, training: bool) -> tuple[tf.Tensor, float]:
    """The seed and the rate by which a kernel drops; 0: it doesn't."""
    if dropout is None or not training or not possible(dropout.rate):
        return tf.zeros([2], tf.int32), 0.0
    return next_seed(dropout), dropout.rate


def next_seed(layer: keras.layers.Dropout) -> tf.Tensor:
    return tf.cast(layer.seed_generator.next(), tf.int32)


def scale_and_offset(norm: keras.layers.LayerNormalization) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.convert_to_tensor(norm.gamma), tf.convert_to_tensor(norm.beta)


@functools.cache
def gelu_of(activation: Callable) -> bool | None:
    """Whether an activation is GELU by tanh (True) or exactly (False); None: another one.

    It is told from its values: KerasHub's models have it as functions and lambdas of their own.
    """
    points = np.linspace(-6, 6, 97, dtype="float32")
    with tf.init_scope():
        values = np.asarray(activation(tf.constant(points)))
        for approximate in (True, False):
            if np.allclose(values, tf.nn.gelu(points, approximate), rtol=0, atol=1e-6):
                return approximate
    return None


def is_gelu(activation: Callable) -> bool:
    return gelu_of(activation) is not None


FORMS: dict[type[keras.layers.Layer], type[keras.layers.Layer]] = {
    keras.layers.Dropout: KernelDropout,
    keras.layers.LayerNormalization: KernelLayerNormalization,
    keras.layers.Dense: KernelDense,
    keras.layers.MultiHeadAttention: KernelMultiHeadAttention,
}


def encoder_form(layer: keras.layers.Layer) -> type[keras.layers.Layer] | None:
    """The form of an encoder layer; the class that one has for a packed batch stays first. None: no encoder."""
    kind = type(layer)
    if own_class(layer) is not keras_hub.layers.TransformerEncoder:
        return None
    return KernelEncoder if kind is own_class(layer) else type(kind.__name__, (kind, KernelEncoder), {})
