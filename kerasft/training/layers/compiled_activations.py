"""Activations of many operations, such as GELU, as one pass over memory forward and one back, compiled by XLA.

The rest of a step stays with oneDNN, whose matrix products XLA's on a CPU don't reach. A shape that is new is compiled
once, for all layers.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

Activation = Callable[[tf.Tensor], tf.Tensor]

ONE_PASS = (None, *(getattr(keras.activations, name) for name in ("linear", "relu", "tanh", "sigmoid")))


@contextlib.contextmanager
def compiled_activations(
    model: keras.layers.Layer, leave: Callable[[Activation], bool] = lambda activation: False
) -> Iterator[None]:
    """Dense layers of the model, however deep, have their activations compiled inside, but for those to leave."""
    layers = [
        layer for layer in model._flatten_layers() if isinstance(layer, (keras.layers.Dense, keras.layers.EinsumDense))
    ]
    before = [(layer, layer.activation) for layer in layers]
    before = [(layer, kind) for layer, kind in before if kind not in ONE_PASS and not leave(kind)]
    for layer, activation in before:
        layer.activation = compiled(activation)
    try:
        yield
    finally:
        for layer, activation in before:
            layer.activation = activation


@functools.cache  # layers with the same one share what is compiled
def compiled(activation: Activation) -> Activation:
    """The same, element by element; the way back computes it again from what went in."""

    @tf.function(jit_compile=True, autograph=False)
    def forward(inputs):
        return activation(inputs)

    @tf.function(jit_compile=True, autograph=False)
    def backward(inputs, upstream):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = activation(inputs)
        return tape.gradient(outputs, inputs, upstream)

    @tf.custom_gradient
    def run(inputs):
        return forward(inputs), lambda upstream: backward(inputs, upstream)

    return run
