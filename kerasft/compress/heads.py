"""`method=heads`: attention heads are removed, and those that stay make up for them.

Which heads go is found out as for the units of a feed-forward layer: a head is the group of units that it gives to the
matrix behind the attention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np

from kerasft.compress.base import Method, Smaller, Source
from kerasft.compress.smaller_backbone import by_path, resized
from kerasft.compress.unit_removal import activation_products, kernel_and_bias, pruned
from kerasft.config.compress import HeadsConfig
from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.models.blocks import transformer_blocks
from kerasft.runs import Run

ATTENTION, OUTPUT = "_self_attention_layer", "_output_dense"
READ = ("_query_dense", "_key_dense", "_value_dense")


class Heads(Method[HeadsConfig]):
    """Halves, or thins otherwise, the attention heads of every layer alike."""

    def check(self, run: Run) -> None:
        if is_written_for_transformers(run.config):
            raise UserError(
                f"method=heads: {run.folder} has export.formats: huggingface, and transformers makes heads as wide as "
                "the width over their number; train the run without it, or use method=feedforward"
            )

    def apply(self, source: Source) -> Smaller:
        backbone = source.assembled.backbone
        attentions = attentions_of(transformer_blocks(backbone))
        if not attentions:
            raise UserError(
                f"method=heads: the attention of this {type(backbone).__name__} is not known here; "
                "use method=feedforward"
            )
        heads = attentions[0].num_heads
        count = max(1, round(heads * self.settings.keep))
        if count == heads:
            raise UserError(f"method=heads: keep={self.settings.keep} keeps all {heads} heads; set it lower")
        layers = [getattr(each, OUTPUT) for each in attentions]
        products = activation_products(source, layers, self.settings.rows, "heads")
        changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
        losses = []
        for attention, product in zip(attentions, products):
            kernel, bias = map(keras.ops.convert_to_numpy, kernel_and_bias(getattr(attention, OUTPUT)))
            size = kernel.shape[1]
            kept, matrix, bias, loss = pruned(product, kernel.reshape(heads * size, -1), bias, count, size)
            losses.append(loss)
            changes |= changes_of(attention, kept[::size] // size, matrix.reshape(count, size, -1), bias)
        source.line(
            f"heads: {count} of {heads} heads stay in each layer; outputs of the layers change by "
            f"{min(losses):.1%} to {max(losses):.1%}"
        )
        small = resized(backbone, by_path(changes), heads=count)
        return Smaller(small, source.assembled.tokenizer, facts={"heads": count, "parent_heads": heads})


def is_written_for_transformers(config: Config) -> bool:
    """Whether a run has an export that can't hold fewer heads."""
    return config.export.enabled and "huggingface" in config.export.formats


def attentions_of(blocks: Sequence[keras.layers.Layer]) -> list[keras.layers.MultiHeadAttention]:
    """The attention of each layer to its own tokens; [] where one is of another kind."""
    found = [getattr(block, ATTENTION, None) for block in blocks]
    known = [each for each in found if isinstance(each, keras.layers.MultiHeadAttention)]
    return known if len(known) == len(found) else []


def changes_of(
    attention: keras.layers.MultiHeadAttention, kept: np.ndarray, kernel: np.ndarray, bias: np.ndarray
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Path of each weight of an attention that becomes smaller -> what makes its new value."""
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for name in READ:
        for weight in getattr(attention, name).weights:  # (width, heads, size) of a kernel, (heads, size) of its bias
            changes[weight.path] = lambda value: value[..., kept, :]
    output = getattr(attention, OUTPUT)
    changes[output.kernel.path] = lambda value: kernel
    if output.bias is not None:
        changes[output.bias.path] = lambda value: bias
    return changes
