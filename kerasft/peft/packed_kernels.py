"""Frozen kernels in few bits: what reads one gets float32 numbers that are made at once and not kept.

Keras' variable stays where it is, with its path and its place in the model; its class and what it holds are others.
Keras' own int4 and int8 layers round what a layer reads, too, know no NF4, and can't be trained with a backbone that is
saved as KerasHub made it. `_value` and `_direct_assign` are Keras' (3.8 to 3.15): tests/peft/test_qlora.py fails where
they move.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.peft.packed_matrices import PackedMatrix


class PackedKernel(keras.Variable):
    """A kernel (inner..., outer...) whose numbers are packed.

    Attributes:
        packed: its matrix, (outer, inner).
        added: (inner, outer) float32 in graph, what is added to whatever reads the kernel.
    """

    packed: PackedMatrix
    added: Callable[[], tf.Tensor] | None

    @property
    def value(self):
        whole = tf.transpose(self.packed.unpacked())
        if self.added is not None:
            whole += self.added()
        return self._maybe_autocast(tf.reshape(whole, self.shape))

    def _direct_assign(self, value: Any) -> None:
        if not np.array_equal(np.array(value), keras.ops.convert_to_numpy(self)):
            raise ValueError(f"{self.path} is packed and never changes; only its own numbers can be assigned")


def pack(variable: keras.Variable, packed: PackedMatrix) -> None:
    """The variable has the packed numbers from here on, and the memory of its own is free."""
    variable.__class__ = PackedKernel
    variable.packed, variable.added = packed, None
    variable._value = packed.codes


def unpack(variable: keras.Variable, value: np.ndarray) -> None:
    """The variable is one of Keras' own again, of this value."""
    variable.__class__ = keras.Variable
    variable._value = tf.Variable(tf.constant(value), trainable=False, name=variable.name)


def product(x: tf.Tensor, packed: PackedMatrix) -> tf.Tensor:
    """x (rows, inner) by the matrix (outer, inner) -> (rows, outer), for a matrix that does not train.

    Its numbers are made when x is there and again when the gradient is, so that no more than one kernel or two are in
    memory at a time; otherwise TensorFlow would make all of a model's at once, and keep them for the way back.
    """

    @tf.custom_gradient
    def multiplied(x):
        def gradient(upstream):
            return upstream @ _after(upstream, packed)

        return tf.matmul(x, _after(x, packed), transpose_b=True), gradient

    return multiplied(x)


def _after(tensor: tf.Tensor, packed: PackedMatrix) -> tf.Tensor:
    with tf.control_dependencies([tensor]):
        return tf.cast(packed.unpacked(), tensor.dtype)
