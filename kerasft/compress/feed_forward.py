"""`method=feedforward`: hidden units of the feed-forward layers are removed, and what stays makes up for them.

Which units go, and how the others take over, follows from one thing: the outputs of a layer on real texts. Where a
unit is removed, the second matrix and its bias are fitted anew by least squares (optimal brain surgery of structures:
ZipLM, Kurtic et al. 2023, arXiv:2302.04089). So a unit that others can stand for costs nothing, however large it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.compress.base import Method, Smaller, Source
from kerasft.compress.smaller_backbone import resized
from kerasft.config.compress import FeedForwardConfig
from kerasft.data.prepared.prepared import Prepared
from kerasft.errors import UserError
from kerasft.models.blocks import transformer_blocks
from kerasft.models.layer_classes import Form, as_classes

BATCH = 32
MULTIPLE = 16  # of units: odd sizes fall out of the products of kernels
DAMPING = 1e-3  # of the mean square of a unit: what keeps the fit from following noise
STEPS = 96  # so many times units are removed and scores made anew, at most
FIRST, GATE, SECOND = "_feedforward_intermediate_dense", "_feedforward_gate_dense", "_feedforward_output_dense"


class FeedForward(Method[FeedForwardConfig]):
    """Halves, or thins otherwise, the hidden units of every feed-forward layer alike."""

    def apply(self, source: Source) -> Smaller:
        backbone = source.assembled.backbone
        blocks = transformer_blocks(backbone)
        if "intermediate_dim" not in backbone.get_config() or not all(hasattr(block, SECOND) for block in blocks):
            raise UserError(
                f"method=feedforward: the feed-forward layers of this {type(backbone).__name__} are not known here; "
                "use method=drop_layers"
            )
        units = int(backbone.get_config()["intermediate_dim"])
        count = kept_count(units, self.settings.keep)
        layers = [getattr(block, SECOND) for block in blocks]
        products = _activation_products(source, layers, self.settings.rows)
        changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
        losses = []
        for block, product in zip(blocks, products):
            second = getattr(block, SECOND)
            kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in _kernel_and_bias(second))
            kept, kernel, bias, loss = pruned(product, kernel, bias, count)
            losses.append(loss)
            changes |= _changes(block, kept, kernel, bias)
        source.line(
            f"feedforward: {count:,} of {units:,} units stay in each layer; outputs of the layers change by "
            f"{min(losses):.1%} to {max(losses):.1%}"
        )

        def change(path: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
            return changes[path](value) if path in changes else value

        small = resized(backbone, change, intermediate_dim=count)
        return Smaller(small, source.assembled.tokenizer, facts={"units": count, "parent_units": units})


def kept_count(units: int, share: float) -> int:
    """How many units stay: a multiple of 16, where a layer has at least twice as many."""
    step = MULTIPLE if units >= 2 * MULTIPLE else 1
    return min(units, max(step, round(units * share / step) * step))


def pruned(
    product: np.ndarray, kernel: np.ndarray, bias: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Chooses the units of a layer that stay, and fits their outputs to those of all.

    Args:
        product: (units + 1, units + 1) sums over tokens of what each two units give; the last one gives 1.
        kernel: (units, outputs) that reads the units.
        bias: (outputs,).
        count: how many units stay.

    Returns:
        (count,) indices of those that stay in their order, (count, outputs) and (outputs,) that read them, and how far
        the outputs change: the root of the squared error over the squares of the outputs around their mean.
    """
    units = len(kernel)
    weights = np.vstack([kernel, bias[None]]).astype(np.float64)  # (units + 1, outputs)
    original = weights.copy()
    sums = product.astype(np.float64) / product[-1, -1]
    damped = sums + DAMPING * np.diag(sums)[:-1].mean() * np.eye(units + 1)
    inverse = np.linalg.inv(damped)
    left = np.arange(units)
    while len(left) > count:
        gone = min(max(1, (units - count) // STEPS), len(left) - count)
        scores = np.square(weights[left]).sum(1) / np.diag(inverse)[left]
        chosen = left[np.argpartition(scores, gone - 1)[:gone]]
        columns = inverse[:, chosen]  # (units + 1, gone)
        factor = columns @ np.linalg.inv(inverse[np.ix_(chosen, chosen)])
        weights -= factor @ weights[chosen]
        inverse -= factor @ columns.T
        weights[chosen] = 0.0
        left = np.setdiff1d(left, chosen)
    error = weights - original
    centred = sums - np.outer(sums[-1], sums[-1])
    total = max(np.einsum("io,ij,jo->", original, centred, original), 1e-30)
    loss = float(np.sqrt(max(np.einsum("io,ij,jo->", error, sums, error), 0.0) / total))
    return left, weights[left].astype(np.float32), weights[-1].astype(np.float32), loss


def _kernel_and_bias(dense: keras.layers.Layer) -> tuple[Any, Any]:
    """Of the second matrix; a layer without a bias gets none, and what a constant unit gave is lost."""
    bias = dense.bias if getattr(dense, "use_bias", dense.bias is not None) else None
    return dense.kernel, np.zeros(dense.kernel.shape[-1], np.float32) if bias is None else bias


def _changes(
    block: keras.layers.Layer, kept: np.ndarray, kernel: np.ndarray, bias: np.ndarray
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Path of each weight of a layer that becomes smaller -> what makes its new value."""
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for name in (FIRST, GATE):
        for weight in getattr(getattr(block, name, None), "weights", ()):  # columns of a kernel, and its bias
            changes[weight.path] = lambda value: value[..., kept]
    second = getattr(block, SECOND)
    changes[second.kernel.path] = lambda value: kernel
    if second.bias is not None:
        changes[second.bias.path] = lambda value: bias
    return changes


def _activation_products(source: Source, layers: list[keras.layers.Layer], rows: int) -> list[np.ndarray]:
    """(units + 1, units + 1) of each layer, over the tokens of some rows; padding is left out."""
    prepared: Prepared = source.prepared
    few = np.unique(np.linspace(0, len(prepared) - 1, min(rows, len(prepared))).astype(np.int64))
    sums: list[Any] = [0.0] * len(layers)
    mask: list[Any] = [None]

    def record(place: int, inputs: tf.Tensor) -> None:
        units = tf.reshape(inputs, [-1, inputs.shape[-1]])
        units = tf.boolean_mask(units, tf.reshape(mask[0], [-1])).numpy().astype(np.float32)
        units = np.hstack([units, np.ones((len(units), 1), np.float32)])
        sums[place] = sums[place] + (units.T @ units).astype(np.float64)

    with as_classes([(layer, _recording(type(layer), place, record)) for place, layer in enumerate(layers)]):
        for start in range(0, len(few), BATCH):
            features, _, _ = prepared.batch(few[start : start + BATCH])
            if "padding_mask" not in features:
                raise UserError("method=feedforward: is not for an encoder with a decoder; use method=quantize")
            mask[0] = tf.cast(features["padding_mask"], tf.bool)
            source.assembled.model({name: tf.constant(features[name]) for name in features}, training=False)
    return sums


def _recording(kind: type, place: int, record: Callable[[int, tf.Tensor], None]) -> type:
    """The class of a layer, telling what it reads."""

    def call(self: Any, inputs: tf.Tensor, *rest: Any, **options: Any) -> Any:
        record(place, inputs)
        return kind.call(self, inputs, *rest, **options)

    return type(f"Recording{kind.__name__}", (Form, kind), {"call": call})
