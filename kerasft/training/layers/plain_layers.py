"""Forms of layers made of TensorFlow's own operations, for every machine: see `fused_layers`."""

from __future__ import annotations

import keras
import tensorflow as tf

from kerasft.models.layer_classes import Form, as_made


class Dropout(Form, keras.layers.Dropout):
    """Eight decisions from one 64-bit random number, where Keras draws 32 bits for each.

    The rate becomes the nearest multiple of 1/256 (0.1: 26/256), and what is kept is scaled by the rate that is used.
    """

    def call(self, inputs, training=False):
        dropped = round(self.rate * 256)
        plain = inputs.dtype != tf.float32 or self.noise_shape is not None or not 0 < dropped < 256
        if not training or plain:
            return super().call(inputs, training=training)
        shape = tf.shape(inputs)
        values = tf.size(inputs)
        seed = tf.cast(self.seed_generator.next(), tf.int32)
        many = [(values + 7) // 8]
        # The stub does not know that None is for all integers.
        words = tf.random.stateless_uniform(many, seed, None, None, tf.uint64)  # pyright: ignore[reportArgumentType]
        draws = tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:values]
        mask = tf.cast(draws >= tf.constant(dropped, tf.uint8), tf.float32) * (256 / (256 - dropped))
        return inputs * tf.reshape(mask, shape)


class LayerNormalization(Form, keras.layers.LayerNormalization):
    """With its gradient written out, the sums over rows in it by the kernel that sums biases."""

    def call(self, inputs):
        if not normalizes_last(self, inputs):
            return super().call(inputs)
        return _normalized(inputs, self.gamma, self.beta, self.epsilon)


def normalizes_last(norm: keras.layers.LayerNormalization, inputs: tf.Tensor) -> bool:
    """Whether it is the usual one: over the last axis, scaled and moved, in float32."""
    last = norm.axis in (-1, [-1], len(inputs.shape) - 1, [len(inputs.shape) - 1])
    return norm.gamma is not None and norm.beta is not None and last and inputs.dtype == tf.float32


def _normalized(inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
    """(..., width) -> (..., width), zero mean and unit variance over the width, then scaled and moved."""

    @tf.custom_gradient
    def normalize(x, gamma, beta):
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + epsilon)
        unit = centred * scale

        def gradient(upstream):
            through = upstream * gamma
            along = tf.reduce_mean(through * unit, -1, keepdims=True)
            inward = scale * (through - tf.reduce_mean(through, -1, keepdims=True) - unit * along)
            return (
                inward,
                tf.raw_ops.BiasAddGrad(out_backprop=upstream * unit),
                tf.raw_ops.BiasAddGrad(out_backprop=upstream),
            )

        return unit * gamma + beta, gradient

    return normalize(inputs, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


class Dense(Form, keras.layers.Dense):
    """One matrix product and one bias that oneDNN has kernels for, forward and back."""

    def call(self, inputs, training=None):
        if self.bias is None or not reads_float32(self):
            return super().call(inputs, training=training)
        outputs = _affine(inputs, self.kernel, self.bias, 1)
        return outputs if self.activation is None else self.activation(outputs)


class EinsumDense(Form, keras.layers.EinsumDense):
    """The projections of attention, each one matrix product and one bias."""

    def call(self, inputs, training=None):
        contracted = {"abc,cde->abde": 1, "abcd,cde->abe": 2, "abc,cd->abd": 1}.get(self.equation)
        linear = self.activation in (None, keras.activations.linear)
        if contracted is None or self.bias is None or not linear or not reads_float32(self):
            return super().call(inputs, training=training)
        return _affine(inputs, self.kernel, self.bias, contracted)


def reads_float32(layer: keras.layers.Layer) -> bool:
    """Whether the layer does what its kernel and bias say, no more, and in float32."""
    return as_made(layer) and layer.compute_dtype == "float32"


def _affine(inputs: tf.Tensor, kernel, bias, contracted: int) -> tf.Tensor:
    """inputs (..., i...), kernel (i..., o...), bias (o...) -> (..., o...); `contracted` says how many `i` there are."""
    kernel, bias = tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias)
    outer = tf.shape(inputs)[: len(inputs.shape) - contracted]
    inner, outputs = kernel.shape[:contracted].num_elements(), kernel.shape[contracted:]
    flat = tf.reshape(inputs, [-1, inner]) @ tf.reshape(kernel, [inner, -1])  # (rows, all i) @ (all i, all o)
    flat = tf.nn.bias_add(flat, tf.reshape(bias, [-1]))
    result = tf.reshape(flat, tf.concat([outer, outputs], 0))  # (rows, all o) -> (..., o...)
    result.set_shape(inputs.shape[: len(inputs.shape) - contracted] + outputs)
    return result


class MultiHeadAttention(Form, keras.layers.MultiHeadAttention):
    """Masks by one sum, where Keras selects twice."""

    def _compute_attention(
        self,
        query,
        key,
        value,
        attention_mask=None,
        training=None,
        return_attention_scores=False,
        use_causal_mask=False,
    ):
        masked = attention_mask is None or len(attention_mask.shape) == 3
        plain = use_causal_mask or return_attention_scores or not masked or len(query.shape) != 4
        if plain or query.dtype != tf.float32:
            return super()._compute_attention(
                query, key, value, attention_mask, training, return_attention_scores, use_causal_mask
            )
        query, key, value = (tf.transpose(part, [0, 2, 1, 3]) for part in (query, key, value))  # heads before lengths
        weights = self.shares(query, key, attention_mask, training)
        return tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3]), None  # (batch, to, heads, width)

    def shares(self, query, key, attention_mask, training):
        """query, key (batch, heads, to or from, width), mask (batch, 1 or to, from) -> (batch, heads, to, from)."""
        scores = tf.matmul(query * self._inverse_sqrt_key_dim, key, transpose_b=True)
        if attention_mask is not None:
            scores += (tf.cast(attention_mask, tf.float32)[:, None] - 1.0) * 1e9  # alike for all heads
        weights = tf.nn.softmax(scores)
        return self._dropout_layer(weights, training=training) if self._dropout > 0.0 else weights
