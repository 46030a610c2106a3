"""Four bits of a matrix that disturb what the matrix gives on real texts less than rounding does.

- GPTQ (Frantar et al. 2022, arXiv:2210.17323): rounds one input after the other, the one that is used most first, and
  moves what is not rounded yet so that it makes up for the error.
- AWQ (Lin et al. 2023, arXiv:2306.00978): makes the weights of large inputs larger before they are rounded, and the
  inputs smaller in the normalisation before them, so that these weights lose less.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasft.models.presets.four_bits import GROUP, FourBits, grid, nearest, offsets, on_grid

DAMPING = 0.01  # of the mean diagonal
BLOCK = 128  # inputs after which all others are moved
POWERS = np.linspace(0.0, 1.0, 11)  # of AWQ


def gptq(matrix: np.ndarray, products: np.ndarray, shape: tuple[int, ...] | None = None) -> FourBits:
    """A matrix in four bits; with the identity for products it is `nearest`.

    Args:
        matrix: (inputs, outputs).
        products: (inputs, inputs) sums over tokens of the products of each two inputs.
        shape: of the weight that the matrix is.
    """
    scales, zeros = grid(matrix)
    wide, middle = scales.astype(np.float32), offsets(zeros)
    order = np.argsort(-np.diag(products), kind="stable")
    factor = _factor(products[np.ix_(order, order)])
    left = matrix[order].astype(np.float32)
    integers = np.zeros(matrix.shape, np.uint8)
    for start in range(0, len(left), BLOCK):
        end = min(start + BLOCK, len(left))
        errors = np.zeros((end - start, left.shape[1]), np.float32)
        for i in range(start, end):
            group = order[i] // GROUP
            chosen = on_grid(left[i], wide[group], middle[group])
            integers[order[i]] = chosen
            errors[i - start] = (left[i] - (chosen - middle[group]) * wide[group]) / factor[i, i]
            left[i + 1 : end] -= np.outer(factor[i, i + 1 : end], errors[i - start])
        left[end:] -= factor[start:end, end:].T @ errors
    return FourBits(integers, scales, zeros, matrix.shape if shape is None else shape)


def _factor(products: np.ndarray) -> np.ndarray:
    """(inputs, inputs) upper triangular: its product with itself is the inverse of the damped products."""
    damped = products.astype(np.float64)
    diagonal = np.diag(damped).copy()
    diagonal[diagonal == 0] = 1.0  # an input that is always 0
    np.fill_diagonal(damped, diagonal + DAMPING * diagonal.mean())
    return np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)


def awq_scales(matrices: Sequence[np.ndarray], products: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(inputs,) that the rows of some matrices of the same inputs are multiplied by; the inputs are divided by them.

    Args:
        matrices: (inputs, outputs) each.
        products: see `gptq`.
        sizes: (inputs,) mean absolute values of the inputs.
    """
    best, least = np.ones(len(sizes), np.float32), np.inf
    for power in POWERS:
        scales = np.maximum(sizes, 1e-4).astype(np.float32) ** power
        scales /= np.sqrt(scales.max() * scales.min())
        loss = 0.0
        for matrix in matrices:
            loss += disturbance(nearest(matrix * scales[:, None]).values() / scales[:, None] - matrix, products)
        if loss < least:
            best, least = scales, loss
    return best


def disturbance(error: np.ndarray, products: np.ndarray) -> float:
    """The squared error of what a matrix gives, summed over tokens, where it is off by `error`, (inputs, outputs)."""
    return float(np.sum((products @ error) * error))
