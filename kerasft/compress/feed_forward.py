"""`method=feedforward`: hidden units of the feed-forward layers are removed, and what stays makes up for them."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from kerasft.compress.base import Method, Smaller, Source
from kerasft.compress.smaller_backbone import by_path, resized
from kerasft.compress.unit_removal import activation_products, kernel_and_bias, pruned
from kerasft.config.compress import FeedForwardConfig
from kerasft.errors import UserError
from kerasft.models.blocks import transformer_blocks

MULTIPLE = 16  # of units: odd sizes fall out of the products of kernels
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
        products = activation_products(source, layers, self.settings.rows, "feedforward")
        changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
        losses = []
        for block, product in zip(blocks, products):
            second = getattr(block, SECOND)
            kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in kernel_and_bias(second))
            kept, kernel, bias, loss = pruned(product, kernel, bias, count)
            losses.append(loss)
            changes |= _changes(block, kept, kernel, bias)
        source.line(
            f"feedforward: {count:,} of {units:,} units stay in each layer; outputs of the layers change by "
            f"{min(losses):.1%} to {max(losses):.1%}"
        )
        small = resized(backbone, by_path(changes), intermediate_dim=count)
        return Smaller(small, source.assembled.tokenizer, facts={"units": count, "parent_units": units})


def kept_count(units: int, share: float) -> int:
    """How many units stay: a multiple of 16, where a layer has at least twice as many."""
    step = MULTIPLE if units >= 2 * MULTIPLE else 1
    return min(units, max(step, round(units * share / step) * step))


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
