"""Weights that stand ready while an answer is written: in bfloat16, or in the 4 bits that they are stored in.

A step that reads one token of a few rows does little else than read weights, so fewer bytes are faster. TensorFlow's
rewrite for bfloat16 (`kerasft.training.layers.precision`) would cast a product's float32 weights where the product is,
which within a loop is at every step.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import keras
import keras_hub
import tensorflow as tf

from kerasft.models.layer_classes import Form, as_classes, as_made

# Axes that a layer sums over, of its input the last ones and of its kernel the first.
_SUMMED = {"abc,cde->abde": 1, "abcd,cde->abe": 2, "bqm,muh->bquh": 1, "bkm,mvh->bkvh": 1, "bquh,uhm->bqm": 2}

_held = threading.local()  # `weights`: of layers, by id


class Held(Protocol):
    """A weight that products read."""

    def product(self, inputs: tf.Tensor, transposed: bool) -> tf.Tensor:
        """(rows, in) float32 by the weight, (in, out) or transposed (out, in) -> (rows, out) float32."""
        ...


@dataclass(frozen=True)
class _InBfloat16:
    weight: tf.Tensor

    def product(self, inputs: tf.Tensor, transposed: bool) -> tf.Tensor:
        weight = self.weight if transposed else tf.reshape(self.weight, [inputs.shape[-1], -1])
        return tf.cast(tf.matmul(tf.cast(inputs, weight.dtype), weight, transpose_b=transposed), tf.float32)


@contextlib.contextmanager
def held_weights(model: keras.Model, weights: Mapping[int, Held] | None = None) -> Iterator[None]:
    """Graphs that are made inside have products by held weights.

    What is no product of a layer's kernel, such as normalisation and the sums of residuals, stays in float32. Layers
    with LoRA, quantized ones and those of another type keep their own way.

    Args:
        model: its layers have other classes inside.
        weights: of layers, by their id, see `kerasft.models.generation.four_bit_weights`; other layers stay as they
            are. None: all that can be, in bfloat16, cast where this is entered.
    """
    forms = {layer: form for layer in model._flatten_layers() if (form := _form(layer)) is not None}
    if weights is not None:
        forms = {layer: form for layer, form in forms.items() if id(layer) in weights}
    before = getattr(_held, "weights", {})
    try:
        with as_classes(list(forms.items())):
            if weights is None:
                weights = {id(layer): _in_bfloat16(weight_of(layer)) for layer in forms}
            _held.weights = weights
            yield
    finally:
        _held.weights = before


def weight_of(layer: keras.layers.Layer) -> keras.Variable:
    """The weight that a layer's product reads."""
    if isinstance(layer, (keras.layers.ReversibleEmbedding, keras_hub.layers.ReversibleEmbedding)):
        return layer.embeddings if layer.tie_weights else layer.reverse_embeddings
    return layer.kernel


def summed_axes(layer: keras.layers.Layer) -> int:
    """How many of the first axes of a kernel a layer's product sums over."""
    return _SUMMED[layer.equation] if isinstance(layer, keras.layers.EinsumDense) else 1


def may_be_held(layer: keras.layers.Layer) -> bool:
    """Whether there is a form of the layer whose product is by a held weight."""
    return _form(layer) is not None


def _in_bfloat16(variable: keras.Variable) -> Held:
    return _InBfloat16(tf.cast(tf.convert_to_tensor(variable), tf.bfloat16))


def _form(layer: keras.layers.Layer) -> type[keras.layers.Layer] | None:
    if not as_made(layer) or layer.compute_dtype != "float32":
        return None
    form = _FORMS.get(type(layer))
    return None if form is _EinsumDense and layer.equation not in _SUMMED else form


def _product(layer: keras.layers.Layer, inputs: tf.Tensor, inner: int, transposed: bool = False) -> tf.Tensor:
    """(..., in) -> (rows, out) float32."""
    return _held.weights[id(layer)].product(tf.reshape(inputs, [-1, inner]), transposed)


def _affine(layer: keras.layers.Layer, inputs: tf.Tensor) -> tf.Tensor:
    """(..., i...) -> (..., o...) with a kernel (i..., o...), where there are as many `i` as `summed_axes`."""
    kernel, summed = tf.TensorShape(layer.kernel.shape), summed_axes(layer)
    outer, outputs = len(inputs.shape) - summed, kernel[summed:]
    outputs_of_layer = _product(layer, inputs, kernel[:summed].num_elements())
    outputs_of_layer = tf.reshape(outputs_of_layer, tf.concat([tf.shape(inputs)[:outer], outputs], 0))
    outputs_of_layer.set_shape(inputs.shape[:outer] + outputs)
    if layer.bias is not None:
        outputs_of_layer += layer.bias
    return outputs_of_layer if layer.activation is None else layer.activation(outputs_of_layer)


class _Dense(Form, keras.layers.Dense):
    def call(self, inputs, training=None):
        return _affine(self, inputs)


class _EinsumDense(Form, keras.layers.EinsumDense):
    def call(self, inputs, training=None):
        return _affine(self, inputs)


class _ReversibleEmbedding(Form, keras.layers.ReversibleEmbedding):
    """Its table is read as it is; the product with it, which gives logits, is that of held weights."""

    def call(self, inputs, reverse=False):
        if not reverse or self.logit_soft_cap is not None:
            return super().call(inputs, reverse=reverse)
        logits = _product(self, inputs, self.output_dim, transposed=self.tie_weights)
        shape = tf.concat([tf.shape(inputs)[:-1], [self.input_dim]], 0)
        return tf.reshape(logits, shape)


_FORMS = {
    keras.layers.Dense: _Dense,
    keras.layers.EinsumDense: _EinsumDense,
    keras.layers.ReversibleEmbedding: _ReversibleEmbedding,
    keras_hub.layers.ReversibleEmbedding: _ReversibleEmbedding,
}
