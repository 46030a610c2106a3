"""Less memory for a third more work: transformer layers keep what goes in and compute the rest again on the way back.

"Training Deep Nets with Sublinear Memory Cost", Chen et al. 2016, arXiv:1604.06174. Keras' RematScope is an error with
KerasHub's layers inside a tf.function (Keras 3.15: TensorFlow's custom gradients take no keyword arguments there), and
leaves random states as they are, so that dropout would be another one the second time. Here they are put back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf
from tensorflow.compiler.tf2xla.python.xla import optimization_barrier

from kerasft.models.layer_classes import Form, as_classes
from kerasft.training.layers.packed_layers import call_again


@contextlib.contextmanager
def rematerialized(layers: Sequence[keras.layers.Layer], xla: bool = False) -> Iterator[None]:
    """Layers that are called inside, in training, keep their input alone for the gradient, which is taken inside, too.

    Args:
        layers: what each gives is tensors of floating point, as they are or in a tuple (T5's give their bias, too).
        xla: XLA compiles this, as it does for a TPU.
    """
    different = {id(layer): layer for layer in layers}.values()  # ALBERT's is one that is called again and again
    with as_classes([(layer, _rematerialized_class(type(layer), xla)) for layer in different]):
        yield


def _rematerialized_class(kind: type[keras.layers.Layer], xla: bool) -> type[keras.layers.Layer]:
    return type(kind.__name__, (_Rematerialized, kind), {"plain": kind, "xla": xla})


class _Rematerialized(Form, keras.layers.Layer):
    """Before the class of a layer, which is `plain`."""

    plain: type[keras.layers.Layer]
    xla: bool

    def call(self, *args, **kwargs):
        states, plain, xla, again = _random_states(self), self.plain, self.xla, call_again(self)
        parts = keras.tree.flatten((args, kwargs))
        # Those a gradient may go to; DeBERTa's layers share an input besides the hidden states.
        inputs = [i for i, part in enumerate(parts) if tf.is_tensor(part) and part.dtype.is_floating]

        def called(tensors: Sequence[tf.Tensor]) -> tf.Tensor | tuple[tf.Tensor, ...]:
            values = dict(zip(inputs, tensors))
            arguments = [values.get(i, part) for i, part in enumerate(parts)]
            new_args, new_kwargs = keras.tree.pack_sequence_as((args, kwargs), arguments)
            with as_classes([(self, plain)]):
                return self(*new_args, **new_kwargs)

        @tf.custom_gradient
        def run(*tensors):
            states_before = [tf.identity(state) for state in states]
            outputs = called(tensors)

            def gradient(*upstream, variables=()):
                late = _delayed([*tensors, *states_before], upstream, xla)
                new, old = late[: len(tensors)], late[len(tensors) :]
                now = [tf.identity(state) for state in states]
                _set(states, old)
                with again(), tf.GradientTape() as tape:
                    tape.watch(new)
                    outputs_again = Training(called)(new, training=True)
                _set(states, now)
                gradients = tape.gradient(keras.tree.flatten(outputs_again), [*new, *variables], list(upstream))
                inward, of_variables = gradients[: len(new)], gradients[len(new) :]
                return (inward, of_variables) if variables else inward

            return outputs, gradient

        return run(*(parts[i] for i in inputs))


def _delayed(values: Sequence[tf.Tensor], upstream: Sequence[tf.Tensor], xla: bool) -> list[tf.Tensor]:
    """The values, not before `upstream` is there: otherwise all would be computed twice at once, and kept."""
    if xla:  # keeps no order but that of data, and would find that the same is computed twice
        return optimization_barrier(*values, *upstream)[: len(values)]
    with tf.control_dependencies(upstream):
        return [tf.identity(value) for value in values]


class Training(keras.layers.Layer):
    """A function of tensors as a part of a model that trains: layers that are called in it know that they do."""

    def __init__(self, function: Callable[[Sequence[tf.Tensor]], tf.Tensor | tuple[tf.Tensor, ...]]):
        super().__init__()
        self.function = function

    def call(self, inputs, training=None):
        return self.function(inputs)


def _random_states(layer: keras.layers.Layer) -> list[tf.Variable]:
    """Of the seed generators inside, and of those that forms of its parts draw from; they are no weights."""
    forms = [part for part in layer._flatten_layers() if isinstance(part, Form)]
    layers = [layer, *{id(other): other for form in forms for other in form.outside}.values()]
    weights = {id(weight) for each in layers for weight in each.weights}
    return [variable.value for each in layers for variable in each.variables if id(variable) not in weights]


def _set(states: list[tf.Variable], values: list[tf.Tensor]) -> None:
    for state, value in zip(states, values):
        state.assign(value)
