"""Matrices in 4 or 8 bits a number, and what TensorFlow's own operations make of them again.

NF4 and the scales of its blocks in 8 bits are those of QLoRA (Dettmers et al. 2023, arXiv:2305.14314), with the numbers
that bitsandbytes has: a matrix (outer, inner) is cut into blocks of 64 along its rows, each divided by its largest
size; what is left becomes the nearest of 16 levels. The 8-bit numbers of the scales are the dynamic ones of Dettmers et
al. 2021 (arXiv:2110.02861).
"""

from __future__ import annotations

import abc
import functools

import numpy as np
import tensorflow as tf

BLOCK, SCALES = 64, 256  # numbers with one scale; scales with one scale of their own
LEVELS = np.array(
    [
        *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
        *(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0),
        *(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
        *(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0),
    ],
    np.float32,
)  # quantiles of a normal distribution, between -1 and 1


class PackedMatrix(abc.ABC):
    """A matrix (outer, inner) that is kept in few bits; made in the strategy's scope.

    Attributes:
        codes: a variable of uint8 or int8.
        bytes: of all that is kept.
    """

    codes: tf.Variable

    @abc.abstractmethod
    def unpacked(self) -> tf.Tensor:
        """(outer, inner) float32, made anew by each call."""

    @property
    @abc.abstractmethod
    def parts(self) -> list[tf.Variable]:
        """All that is kept."""

    @property
    def bytes(self) -> int:
        return sum(part.shape.num_elements() * part.dtype.size for part in self.parts)


class Nf4(PackedMatrix):
    """4.5 bits a number, 4.13 where the scales of blocks are packed, too.

    Args:
        matrix: (outer, inner) float32.
        double: keep the scales, less their mean, in 8 bits.
    """

    def __init__(self, matrix: np.ndarray, double: bool = True):
        self.shape = matrix.shape
        flat = np.ascontiguousarray(matrix, np.float32).reshape(-1)
        blocks = _padded(flat, BLOCK)
        scales = np.abs(blocks).max(1)  # (blocks,)
        indices = nearest(blocks / np.where(scales > 0, scales, 1.0)[:, None], LEVELS).reshape(-1)
        self.codes = _constant(indices[::2] << 4 | indices[1::2])  # (numbers / 2,)
        self.offset = None
        if double:
            self.offset = _constant(scales.mean(dtype=np.float32))
            moved = _padded(scales - scales.mean(dtype=np.float32), SCALES)
            sizes = np.abs(moved).max(1)
            self.sizes = _constant(sizes)  # (blocks / 256,)
            scales = nearest(moved / np.where(sizes > 0, sizes, 1.0)[:, None], dynamic_levels()).reshape(-1)
        self.scales = _constant(scales[: len(blocks)])  # (blocks,) uint8, or float32

    @property
    def parts(self) -> list[tf.Variable]:
        return [self.codes, self.scales, *([] if self.offset is None else [self.sizes, self.offset])]

    def unpacked(self) -> tf.Tensor:
        outer, inner = self.shape
        blocks = tf.reshape(tf.gather(_pairs(), tf.cast(tf.identity(self.codes), tf.int32)), [-1, BLOCK])
        numbers = tf.reshape(blocks * self._scales()[:, None], [-1])
        return tf.reshape(numbers[: outer * inner], [outer, inner])

    def _scales(self) -> tf.Tensor:
        """(blocks,) float32."""
        scales = tf.identity(self.scales)
        if self.offset is None:
            return scales
        moved = tf.gather(tf.constant(dynamic_levels()), tf.cast(scales, tf.int32))
        sizes = tf.repeat(tf.identity(self.sizes), SCALES)[: scales.shape[0]]
        return moved * sizes + tf.identity(self.offset)


class Int8(PackedMatrix):
    """8 bits a number, and one scale a row: what rounds to 127 is the row's largest size.

    Args:
        matrix: (outer, inner) float32.
    """

    def __init__(self, matrix: np.ndarray):
        sizes = np.abs(matrix).max(1, keepdims=True)
        self.scales = _constant((sizes / 127.0).astype(np.float32))  # (outer, 1)
        self.codes = _constant(np.rint(matrix * (127.0 / np.where(sizes > 0, sizes, 1.0))).astype(np.int8))

    @property
    def parts(self) -> list[tf.Variable]:
        return [self.codes, self.scales]

    def unpacked(self) -> tf.Tensor:
        return tf.cast(tf.identity(self.codes), tf.float32) * tf.identity(self.scales)


def nearest(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Which of the rising levels each value is nearest to, uint8 of the values' shape."""
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values).astype(np.uint8)


@functools.cache
def dynamic_levels() -> np.ndarray:
    """(256,) rising: 0, 1, and for i from 0 to 6, of either sign, 2 ** i numbers of 0.1 to 1 times 10 ** (i - 6)."""
    found = [0.0, 1.0]
    for place in range(7):
        borders = np.linspace(0.1, 1.0, 2**place + 1, dtype=np.float32)
        means = (borders[:-1] + borders[1:]) / 2 * np.float32(10.0 ** (place - 6))
        found += [*means, *-means]
    return np.sort(np.array(found, np.float32))


def _pairs() -> tf.Tensor:
    """(256, 2), the two levels of each byte, the upper half first."""
    byte = np.arange(256)
    return tf.constant(np.stack([LEVELS[byte >> 4], LEVELS[byte & 15]], axis=1))


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    """(n,) -> (blocks, count), zeros at the end."""
    return np.pad(values, (0, -len(values) % count)).reshape(-1, count)


def _constant(values: np.ndarray) -> tf.Variable:
    return tf.Variable(tf.constant(values), trainable=False)
