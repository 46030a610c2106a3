"""Units whose outputs a matrix reads are removed, and the matrix is fitted anew, so that the others make up for them.

Which units go follows from the outputs on real texts. Where a unit is removed, the matrix and its bias are fitted by
least squares (optimal brain surgery of structures: ZipLM, Kurtic et al. 2023, arXiv:2302.04089). So a unit that others
can stand for costs nothing, however large it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.compress.base import Source
from kerasft.data.prepared.prepared import Prepared
from kerasft.errors import UserError
from kerasft.models.layer_classes import Form, as_classes

BATCH = 32
DAMPING = 1e-3  # of the mean square of a unit: what keeps the fit from following noise
STEPS = 96  # so many times units are removed and scores made anew, at most


def pruned(
    product: np.ndarray, kernel: np.ndarray, bias: np.ndarray, count: int, size: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Chooses the groups of units that stay, and fits their outputs to those of all.

    Args:
        product: (units + 1, units + 1) sums over tokens of what each two units give; the last one gives 1.
        kernel: (units, outputs) that reads the units.
        bias: (outputs,).
        count: how many groups stay.
        size: of a group: so many units beside each other stay or go together.

    Returns:
        (count * size,) indices of the units that stay in their order, (count * size, outputs) and (outputs,) that read
        them, and how far the outputs change: the root of the squared error over the squares of the outputs around
        their mean.
    """
    units = len(kernel)
    weights = np.vstack([kernel, bias[None]]).astype(np.float64)  # (units + 1, outputs)
    original = weights.copy()
    sums = product.astype(np.float64) / product[-1, -1]
    damped = sums + DAMPING * np.diag(sums)[:-1].mean() * np.eye(units + 1)
    inverse = np.linalg.inv(damped)
    groups = np.arange(units).reshape(-1, size)
    left = np.arange(len(groups))
    while len(left) > count:
        gone = min(max(1, (len(groups) - count) // STEPS), len(left) - count)
        scores = _losses(weights, inverse, groups[left])
        chosen = left[np.argpartition(scores, gone - 1)[:gone]]
        units_gone = groups[chosen].reshape(-1)
        columns = inverse[:, units_gone]  # (units + 1, units that go)
        factor = columns @ np.linalg.inv(inverse[np.ix_(units_gone, units_gone)])
        weights -= factor @ weights[units_gone]
        inverse -= factor @ columns.T
        weights[units_gone] = 0.0
        left = np.setdiff1d(left, chosen)
    error = weights - original
    centred = sums - np.outer(sums[-1], sums[-1])
    total = max(np.einsum("io,ij,jo->", original, centred, original), 1e-30)
    loss = float(np.sqrt(max(np.einsum("io,ij,jo->", error, sums, error), 0.0) / total))
    kept = groups[left].reshape(-1)
    return kept, weights[kept].astype(np.float32), weights[-1].astype(np.float32), loss


def _losses(weights: np.ndarray, inverse: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(groups,) by how much the squared error of the outputs grows where a group goes and the others make up for it."""
    if groups.shape[1] == 1:
        units = groups[:, 0]
        return np.square(weights[units]).sum(1) / np.diag(inverse)[units]
    blocks = np.stack([inverse[np.ix_(units, units)] for units in groups])
    rows = weights[groups]  # (groups, size, outputs)
    return np.einsum("gso,gso->g", rows, np.linalg.solve(blocks, rows))


def kernel_and_bias(dense: keras.layers.Layer) -> tuple[Any, Any]:
    """Of the second matrix; a layer without a bias gets none, and what a constant unit gave is lost."""
    bias = dense.bias if getattr(dense, "use_bias", dense.bias is not None) else None
    return dense.kernel, np.zeros(dense.kernel.shape[-1], np.float32) if bias is None else bias


def activation_products(source: Source, layers: list[keras.layers.Layer], rows: int, method: str) -> list[np.ndarray]:
    """(units + 1, units + 1) of each layer, over the tokens of some rows; padding is left out."""
    prepared: Prepared = source.prepared
    few = np.unique(np.linspace(0, len(prepared) - 1, min(rows, len(prepared))).astype(np.int64))
    sums: list[Any] = [0.0] * len(layers)
    mask: list[Any] = [None]

    def record(place: int, inputs: tf.Tensor) -> None:
        tokens = tf.size(mask[0])
        units = tf.reshape(inputs, [tokens, tf.size(inputs) // tokens])  # of attention, heads and what each gives
        units = tf.boolean_mask(units, tf.reshape(mask[0], [-1])).numpy().astype(np.float32)
        units = np.hstack([units, np.ones((len(units), 1), np.float32)])
        sums[place] = sums[place] + (units.T @ units).astype(np.float64)

    with as_classes([(layer, _recording(type(layer), place, record)) for place, layer in enumerate(layers)]):
        for start in range(0, len(few), BATCH):
            features, _, _ = prepared.batch(few[start : start + BATCH])
            if "padding_mask" not in features:
                raise UserError(f"method={method}: is not for an encoder with a decoder; use method=quantize")
            mask[0] = tf.cast(features["padding_mask"], tf.bool)
            source.assembled.model({name: tf.constant(features[name]) for name in features}, training=False)
    return sums


def _recording(kind: type, place: int, record: Callable[[int, tf.Tensor], None]) -> type:
    """The class of a layer, telling what it reads."""

    def call(self: Any, inputs: tf.Tensor, *rest: Any, **options: Any) -> Any:
        record(place, inputs)
        return kind.call(self, inputs, *rest, **options)

    return type(f"Recording{kind.__name__}", (Form, kind), {"call": call})
