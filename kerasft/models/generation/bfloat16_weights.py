"""Weights that stand ready in bfloat16 while an answer is written, so that no token waits for them to be cast.

TensorFlow's rewrite for bfloat16 (`kerasft.training.layers.precision`) casts a product's float32 weights where the
product is, which within a loop is at every step. A step that reads one token of a few rows does little else than read
weights.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import keras
import keras_hub
import tensorflow as tf

from kerasft.models.layer_classes import Form, as_classes, as_made

# Axes that a layer sums over, of its input the last ones and of its kernel the first.
_SUMMED = {"abc,cde->abde": 1, "abcd,cde->abe": 2, "bqm,muh->bquh": 1, "bkm,mvh->bkvh": 1, "bquh,uhm->bqm": 2}

_held = threading.local()  # `weights`: of layers, by id


@contextlib.contextmanager
def held_weights(model: keras.Model) -> Iterator[None]:
    """Graphs that are made inside have products of bfloat16 with weights that are cast where this is entered.

    What is no product of a layer's kernel, such as normalisation and the sums of residuals, stays in float32. Layers
    with LoRA, quantized ones and those of another type keep their own way.

    Args:
        model: its layers have other classes inside.
    """
    changes = [(layer, form) for layer in model._flatten_layers() if (form := _form(layer)) is not None]
    before = getattr(_held, "weights", {})
    try:
        with as_classes(changes):
            _held.weights = {id(layer): _in_bfloat16(getattr(layer, layer.weight)) for layer, _ in changes}
            yield
    finally:
        _held.weights = before


def _in_bfloat16(variable: keras.Variable) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(variable), tf.bfloat16)


def _form(layer: keras.layers.Layer) -> type[keras.layers.Layer] | None:
    if not as_made(layer) or layer.compute_dtype != "float32":
        return None
    form = _FORMS.get(type(layer))
    return None if form is _EinsumDense and layer.equation not in _SUMMED else form


def _product(inputs: tf.Tensor, weight: tf.Tensor, transposed: bool = False) -> tf.Tensor:
    """(..., in), (in, out) or transposed (out, in) -> (rows, out) float32."""
    flat = tf.reshape(inputs, [-1, weight.shape[transposed]])
    return tf.cast(tf.matmul(tf.cast(flat, weight.dtype), weight, transpose_b=transposed), tf.float32)


def _affine(layer: keras.layers.Layer, inputs: tf.Tensor, summed: int) -> tf.Tensor:
    """(..., i...) -> (..., o...) with a kernel (i..., o...), where there are as many `i` as `summed`."""
    kernel = _held.weights[id(layer)]
    inner, outputs = kernel.shape[:summed].num_elements(), kernel.shape[summed:]
    outer = len(inputs.shape) - summed
    outputs_of_layer = _product(inputs, tf.reshape(kernel, [inner, -1]))
    outputs_of_layer = tf.reshape(outputs_of_layer, tf.concat([tf.shape(inputs)[:outer], outputs], 0))
    outputs_of_layer.set_shape(inputs.shape[:outer] + outputs)
    if layer.bias is not None:
        outputs_of_layer += layer.bias
    return outputs_of_layer if layer.activation is None else layer.activation(outputs_of_layer)


class _Dense(Form, keras.layers.Dense):
    weight = "kernel"

    def call(self, inputs, training=None):
        return _affine(self, inputs, 1)


class _EinsumDense(Form, keras.layers.EinsumDense):
    weight = "kernel"

    def call(self, inputs, training=None):
        return _affine(self, inputs, _SUMMED[self.equation])


class _ReversibleEmbedding(Form, keras.layers.ReversibleEmbedding):
    """Its table is read as it is; the product with it, which gives logits, is that of held weights."""

    @property
    def weight(self) -> str:
        return "embeddings" if self.tie_weights else "reverse_embeddings"

    def call(self, inputs, reverse=False):
        if not reverse or self.logit_soft_cap is not None:
            return super().call(inputs, reverse=reverse)
        logits = _product(inputs, _held.weights[id(self)], transposed=self.tie_weights)
        shape = tf.concat([tf.shape(inputs)[:-1], [self.input_dim]], 0)
        return tf.reshape(logits, shape)


_FORMS = {
    keras.layers.Dense: _Dense,
    keras.layers.EinsumDense: _EinsumDense,
    keras.layers.ReversibleEmbedding: _ReversibleEmbedding,
    keras_hub.layers.ReversibleEmbedding: _ReversibleEmbedding,
}
