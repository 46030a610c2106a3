"""Matrix products of encoder layers by kernels of our own: weights made ready once, gradients made together."""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from kerasft.kernels import operations
from kerasft.models.shapes import static_size
from kerasft.peft.forms import adapter_of
from kerasft.peft.packed_kernels import PackedKernel
from kerasft.training.layers.precision import product_type

# `ready`: kernels in the form of products, by the variable's id; `together`: what their gradients are made of; replicas
# are traced in threads of their own
_traced = threading.local()


def as_matrix(layer: keras.layers.Layer) -> tf.Tensor:
    """The kernel (inner..., outer...) -> (inner, outer); the bias has as many numbers as there are outer ones."""
    return tf.reshape(tf.convert_to_tensor(layer.kernel), [-1, math.prod(layer.bias.shape)])


def product(x: tf.Tensor, layer: keras.layers.Layer, training: bool | None = None, biased: bool = False) -> tf.Tensor:
    """x (rows, inner) by the layer's kernel (inner..., outer...) -> (rows, outer), by way of its adapter if it has one.

    Args:
        x: float32 or bfloat16.
        layer: Dense or EinsumDense.
        training: an adapter may drop numbers then.
        biased: with the layer's bias.
    """
    adapter = adapter_of(layer)
    if adapter is None:
        return _own_product(x, layer, biased)
    outputs = adapter.product(x, lambda read: _own_product(read, layer, False), training)
    return tf.nn.bias_add(outputs, tf.cast(bias_of_layer(layer), x.dtype)) if biased else outputs


def bias_of_layer(layer: keras.layers.Layer) -> tf.Tensor:
    """(outer,) float32, what is added behind the layer's product."""
    bias, adapter = tf.reshape(tf.convert_to_tensor(layer.bias), [-1]), adapter_of(layer)
    return bias if adapter is None else adapter.bias(bias)


def _own_product(x: tf.Tensor, layer: keras.layers.Layer, biased: bool) -> tf.Tensor:
    """The same without an adapter."""
    kernel = as_matrix(layer)
    bias = tf.reshape(tf.convert_to_tensor(layer.bias), [-1]) if biased else None
    ready = getattr(_traced, "ready", {}).get(id(layer.kernel)) if x.dtype == tf.bfloat16 else None
    if x.dtype == tf.bfloat16 and multiplies(kernel):
        together = getattr(_traced, "together", None)
        later = functools.partial(together.add, layer, biased) if together else None
        return operations.product(x, kernel, ready or operations.pack(kernel), bias, later)
    outputs = tf.matmul(x, tf.cast(kernel, x.dtype)) if ready is None else by_cast(x, kernel, ready)
    return outputs if bias is None else tf.nn.bias_add(outputs, tf.cast(bias, x.dtype))


def multiplies(kernel: tf.Tensor) -> bool:
    """Whether products by it are our own."""
    return operations.has_products() and not any(static_size(kernel, axis) % 2 for axis in (0, 1))


def by_cast(x: tf.Tensor, kernel: tf.Tensor, cast: tf.Tensor) -> tf.Tensor:
    """x (rows, inner) by what a kernel (inner, outer) was cast to; the gradient is the kernel's."""

    @tf.custom_gradient
    def multiplied(x, kernel):
        def gradient(upstream):
            inward = tf.matmul(upstream, cast, transpose_b=True)
            return inward, tf.cast(tf.matmul(x, upstream, transpose_a=True), kernel.dtype)

        return tf.matmul(x, cast), gradient

    return multiplied(x, kernel)


@contextlib.contextmanager
def in_form_of_products(layers: Sequence[keras.layers.Layer]) -> Iterator[None]:
    """Kernels of Dense and EinsumDense layers are in the form that products inside read."""
    if product_type() == tf.bfloat16:
        own = [dense for dense in layers if not isinstance(dense.kernel, PackedKernel)]
        kernels = {id(dense.kernel): as_matrix(dense) for dense in own}
        _traced.ready = {
            key: operations.pack(kernel) if multiplies(kernel) else tf.cast(kernel, tf.bfloat16)
            for key, kernel in kernels.items()
        }
    try:
        yield
    finally:
        _traced.ready = {}


class DeferredWeightGrads:
    """Gradients of kernels that are made for all parts of a batch at once: a kernel's is written once, not added up."""

    def __init__(self):
        # by the kernel's id: its layer, whether the bias is in its products, and the operands of each
        self._products: dict[int, tuple[keras.layers.Layer, bool, list[tuple[tf.Tensor, tf.Tensor]]]] = {}

    def add(self, layer: keras.layers.Layer, biased: bool, x: tf.Tensor, upstream: tf.Tensor) -> None:
        self._products.setdefault(id(layer.kernel), (layer, biased, []))[2].append((x, upstream))

    def gradients(self) -> dict[int, tf.Tensor]:
        """By the id of the variable."""
        gradients = {}
        for key, (layer, biased, operands) in self._products.items():
            if not layer.kernel.trainable:  # which its tape does not ask for, and which is most of the work
                if biased and layer.bias.trainable:
                    sums = [tf.reduce_sum(tf.cast(upstream, tf.float32), 0) for _, upstream in operands]
                    gradients[id(layer.bias)] = tf.reshape(tf.add_n(sums), layer.bias.shape)
                continue
            dkernel, dbias = operations.product_gradients(*zip(*operands))
            gradients[key] = tf.reshape(dkernel, layer.kernel.shape)
            if biased:
                gradients[id(layer.bias)] = tf.reshape(dbias, layer.bias.shape)
        return gradients


@contextlib.contextmanager
def kernels_together(together: bool) -> Iterator[DeferredWeightGrads]:
    """Gradients taken inside leave out the kernels of our products; `DeferredWeightGrads` has those of all parts.

    Not `together`: gradients of passes that are begun inside are whole, also where others' around them are not.
    """
    deferred, before = DeferredWeightGrads(), getattr(_traced, "together", None)
    _traced.together = deferred if together else None
    try:
        yield deferred
    finally:
        _traced.together = before
