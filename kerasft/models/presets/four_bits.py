"""Matrices in four bits: 32 numbers of an output share a scale and a zero, so that each takes 4.75 bits.

A number is `scale * (integer - zero)`, integers and zeros from 0 to 15, zeros in sixteenths. Whole ones, as in GPTQ's
own code, would move all numbers of a group by up to half a scale, also those that have had 16 levels a group before
(Q4_1 of GGUF). Without TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

GROUP, LARGEST = 32, 15
PARTS = 16  # of a zero
ENDINGS = ("_scales", "_sixteenths", "_shape")  # behind the name of a packed matrix
WHOLE = "_zeros"  # instead of sixteenths in presets of before


@dataclass(frozen=True)
class FourBits:
    """A matrix in four bits.

    Attributes:
        integers: (inputs, outputs) uint8, 0 to 15.
        scales: (groups, outputs) float16; a group is 32 inputs.
        zeros: (groups, outputs) uint8, in sixteenths.
        shape: of the weight that it is, in which inputs come first.
    """

    integers: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray
    shape: tuple[int, ...]

    def values(self) -> np.ndarray:
        """float32 of the weight's shape."""
        group = np.arange(len(self.integers)) // GROUP
        centred = self.integers.astype(np.float32) - offsets(self.zeros)[group]
        return (centred * self.scales.astype(np.float32)[group]).reshape(self.shape)

    def arrays(self) -> dict[str, np.ndarray]:
        """Ending of a name -> array of a file; two integers are a byte."""
        even = np.pad(self.integers, ((0, len(self.integers) % 2), (0, 0)))
        shape = np.array([*self.integers.shape, *self.shape], np.int32)
        packed = even[0::2] | (even[1::2] << 4)
        return {"": packed, **dict(zip(ENDINGS, (self.scales, self.zeros, shape)))}


def offsets(zeros: np.ndarray) -> np.ndarray:
    """float32 of what is stored in sixteenths."""
    return zeros.astype(np.float32) / PARTS


def from_arrays(arrays: Mapping[str, np.ndarray]) -> FourBits:
    """What `FourBits.arrays` gave, or an older one with whole zeros."""
    (inputs, outputs), shape = arrays["_shape"][:2].tolist(), arrays["_shape"][2:].tolist()
    packed = arrays[""]
    integers = np.stack([packed & LARGEST, packed >> 4], 1).reshape(-1, outputs)[:inputs]
    zeros = arrays[WHOLE] * np.uint8(PARTS) if WHOLE in arrays else arrays["_sixteenths"]
    return FourBits(integers, arrays["_scales"], zeros, tuple(shape))


def grid(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales, and zeros in sixteenths, of a matrix, (inputs, outputs): a group reaches from its least to its largest
    number. Where a number is 0, as in a pruned matrix, it stays 0: the zero is a whole one there."""
    padded = np.pad(matrix.astype(np.float32), ((0, -len(matrix) % GROUP), (0, 0)))
    groups = padded.reshape(-1, GROUP, matrix.shape[1])
    low, high = np.minimum(groups.min(1), 0.0), np.maximum(groups.max(1), 0.0)
    scales = ((high - low) / LARGEST).astype(np.float16)
    wide = scales.astype(np.float32)
    zeros = np.divide(-low, wide, out=np.zeros_like(low), where=wide > 0)
    empty = np.pad(matrix == 0, ((0, -len(matrix) % GROUP), (0, 0))).reshape(groups.shape).any(1)
    zeros = np.where(empty, np.rint(zeros), np.rint(PARTS * zeros) / PARTS)
    return scales, (PARTS * np.clip(zeros, 0, LARGEST)).astype(np.uint8)


def on_grid(numbers: np.ndarray, scales: np.ndarray, zeros: np.ndarray) -> np.ndarray:
    """The integers that are nearest to numbers, by float32 scales and `offsets` of the same shape."""
    steps = np.divide(numbers, scales, out=np.zeros_like(numbers), where=scales > 0)
    return np.clip(np.rint(steps + zeros), 0, LARGEST)


def nearest(matrix: np.ndarray, shape: tuple[int, ...] | None = None) -> FourBits:
    """Each number of a matrix, (inputs, outputs), as the nearest of its group's; `shape` is that of the weight."""
    scales, zeros = grid(matrix)
    group = np.arange(len(matrix)) // GROUP
    wide = scales.astype(np.float32)[group], offsets(zeros)[group]
    integers = on_grid(matrix.astype(np.float32), *wide).astype(np.uint8)
    return FourBits(integers, scales, zeros, matrix.shape if shape is None else shape)
