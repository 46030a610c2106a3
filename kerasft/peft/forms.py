"""What a linear layer is while an adapter is beside it: its product by way of the adapter, then bias and activation."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasft.models.layer_classes import Changes, Form
from kerasft.peft.targets import Target, contracted_axes

Product = Callable[[tf.Tensor], tf.Tensor]
Values = Iterator[tuple[keras.Variable, np.ndarray]]


class LayerAdapter(abc.ABC):
    """What a method puts beside one linear layer.

    Args:
        target: the layer.
        variables: of the adapter, by name; each is an attribute, too.
        layers: of elsewhere that it calls.
    """

    def __init__(
        self, target: Target, variables: Mapping[str, keras.Variable], layers: tuple[keras.layers.Layer, ...] = ()
    ):
        self.target, self.variables, self.layers = target, dict(variables), layers

    @abc.abstractmethod
    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        """x (rows, inner) -> (rows, outer), without a bias; `base` is the layer's own product."""

    def bias(self, bias: tf.Tensor) -> tf.Tensor:
        """(outer,) -> the bias that is added."""
        return bias

    @abc.abstractmethod
    def merged(self) -> Values:
        """Variables of the layer, and what they are with the adapter merged into them."""

    def read(self, name: str, like: tf.Tensor) -> tf.Tensor:
        """A variable in the type that a layer computes in."""
        return tf.cast(tf.convert_to_tensor(self.variables[name]), like.dtype)

    def value(self, name: str) -> np.ndarray:
        """A variable as it is now."""
        return np.array(keras.ops.convert_to_numpy(self.variables[name]))

    def kernel(self, matrix: np.ndarray) -> Values:
        """The layer's kernel, and a matrix (inner, outer) in its shape."""
        variable = self.target.layer.kernel
        yield variable, matrix.reshape(variable.shape)


class AdaptedLinear(Form, keras.layers.Layer):
    """Before the class of a Dense or EinsumDense."""

    adapted = beside_product = True
    adapter: LayerAdapter

    def call(self, inputs, training=None):
        target, count = self.adapter.target, contracted_axes(self)
        kernel = tf.reshape(tf.convert_to_tensor(self.kernel), [target.inner, target.outer])
        flat = tf.reshape(inputs, [-1, target.inner])  # (rows, inner)
        outputs = self.adapter.product(flat, lambda x: x @ kernel, training)
        if self.bias is not None:
            outputs += self.adapter.bias(tf.reshape(tf.convert_to_tensor(self.bias), [-1]))
        kept = len(inputs.shape) - count
        given = self.kernel.shape[count:]
        result = tf.reshape(outputs, tf.concat([tf.shape(inputs)[:kept], given], 0))
        result.set_shape([*inputs.shape[:kept], *given])
        return result if self.activation is None else self.activation(result)


def adapter_of(layer: keras.layers.Layer) -> LayerAdapter | None:
    """What is beside a layer now; None: nothing."""
    return layer.adapter if isinstance(layer, AdaptedLinear) else None


def adapted(adapters: Sequence[LayerAdapter]) -> Changes:
    """The form of each adapter's layer, before whichever form it has now."""
    changes: Changes = []
    for adapter in adapters:
        layer = adapter.target.layer
        own = {"adapter": adapter, "outside": adapter.layers}
        changes.append((layer, type(type(layer).__name__, (AdaptedLinear, type(layer)), own)))
    return changes
