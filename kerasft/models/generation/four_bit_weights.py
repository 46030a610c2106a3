"""Weights that stay in the bits that they are stored in (`kerasft compress method=quantize storage=int4`).

A kernel, in 4 bits, is laid out as kerasft/kernels/narrow_products.h reads it: columns in tiles, two inputs to a byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from kerasft.kernels import operations
from kerasft.models.generation.held_weights import Held, may_be_held, summed_axes, weight_of
from kerasft.models.presets.four_bits import FourBits
from kerasft.models.presets.narrow_weights import GROUP, EightBits, digest

TILE = 64  # columns side by side


@dataclass(frozen=True)
class FourBitKernel:
    """A kernel (in, out) in 4 bits; see `kerasft.kernels.operations.four_bit_product`."""

    packed: tf.Variable
    scales: tf.Variable
    zeros: tf.Variable
    columns: int

    @classmethod
    def of(cls, bits: FourBits) -> FourBitKernel:
        """From what a preset holds."""
        columns = bits.integers.shape[1]
        integers = np.pad(bits.integers, ((0, -len(bits.integers) % GROUP), (0, 0)))
        packed = integers[0::2] | (integers[1::2] << 4)
        return cls(*(_variable(_tiled(part)) for part in (packed, bits.scales, bits.zeros)), columns=columns)

    def product(self, inputs: tf.Tensor, transposed: bool) -> tf.Tensor:
        assert not transposed  # kernels are not tied to anything
        return operations.four_bit_product(inputs, self.packed, self.scales, self.zeros, self.columns)


@dataclass(frozen=True)
class EightBitTable:
    """A table of embeddings (out, in) in int8; see `kerasft.kernels.operations.eight_bit_lookup`."""

    numbers: tf.Variable
    scales: tf.Variable

    @classmethod
    def of(cls, bits: EightBits) -> EightBitTable:
        """From what a preset holds."""
        return cls(_variable(bits.integers), _variable(bits.scales.reshape(len(bits.integers), -1)))

    def product(self, inputs: tf.Tensor, transposed: bool) -> tf.Tensor:
        assert transposed  # a table that is not tied has no 8 bits of this form
        return operations.eight_bit_lookup(inputs, self.numbers, self.scales)


def four_bit_weights(
    model: keras.Model, stored: Mapping[str, FourBits | EightBits]
) -> tuple[dict[int, Held], list[str]]:
    """By the id of a layer its weight as it is stored, for `held_weights`; and paths of the other layers with products.

    Args:
        model: whose weights were read from the preset.
        stored: what `stored_bits` gives of it.
    """
    weights: dict[int, Held] = {}
    others = []
    for layer in model._flatten_layers():
        if not may_be_held(layer):
            continue
        weight = weight_of(layer)
        bits = stored.get(digest(keras.ops.convert_to_numpy(weight)))
        if (held := _held(layer, weight, bits)) is not None:
            weights[id(layer)] = held
        else:
            others.append(layer.path)
    return weights, others


def _held(layer: keras.layers.Layer, weight: keras.Variable, bits: FourBits | EightBits | None) -> Held | None:
    """None: the weight is not stored in few bits, or their groups lie along other axes than those that are summed."""
    if isinstance(bits, FourBits):
        along = len(bits.integers) == np.prod(weight.shape[: summed_axes(layer)])
        return FourBitKernel.of(bits) if along else None
    tied = getattr(layer, "tie_weights", False) and weight.shape[-1] % GROUP == 0
    return EightBitTable.of(bits) if bits is not None and tied else None


def _tiled(part: np.ndarray) -> np.ndarray:
    """(any, columns) -> (tiles, any, TILE), filled up with zeros."""
    wide = np.pad(part, ((0, 0), (0, -part.shape[1] % TILE)))
    return np.ascontiguousarray(wide.reshape(len(wide), -1, TILE).transpose(1, 0, 2))


def _variable(values: np.ndarray) -> tf.Variable:
    """Read without a copy, in a loop, too; a constant would be a part of every graph."""
    return tf.Variable(tf.constant(values), trainable=False)
