"""About what each step of compression would bring: bytes are counted, and times follow from the parts that go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from kerasft.assembly import Assembled
from kerasft.compress.feed_forward import FIRST, GATE, SECOND, kept_count
from kerasft.compress.heads import OUTPUT, attentions_of
from kerasft.compress.kept_tokens import token_ids_of, trimmed
from kerasft.compress.smaller_backbone import vocabulary_key
from kerasft.data.prepared.prepared import Prepared
from kerasft.errors import UserError

FLOAT32, FLOAT16, GROUP = 4, 2, 32  # bytes; numbers that share a scale in int8
HALF = 0.5
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """A layer, or a part of one.

    Attributes:
        name: for people.
        parameters: numbers in its weights.
        milliseconds: of one text and of 32, by itself.
    """

    name: str
    parameters: int
    milliseconds: Mapping[int, float]


@dataclass(frozen=True)
class Step:
    """What a step of compression would bring.

    Attributes:
        step: words of the command line.
        bytes: of the weights, afterwards.
        milliseconds: of 32 texts, estimated by the parts that go; None: it is not faster.
        trains: whether the score needs a training afterwards.
    """

    step: str
    bytes: int
    milliseconds: float | None
    trains: bool


def expected_steps(
    assembled: Assembled,
    blocks: list[keras.layers.Layer],
    parts: tuple[Part, ...],
    shapes: list[Shape],
    milliseconds: float,
    train: Prepared,
) -> Iterator[Step]:
    """What each method would bring, counted where it can be and estimated where it is time."""
    backbone, numbers = assembled.backbone, sum(map(size_of, shapes))
    large = max(parts[0].milliseconds)
    if (rows := _kept_rows(assembled, train)) is not None:
        before = int(backbone.get_config()[vocabulary_key(backbone)])
        columns = sum(size_of(shape) // before for shape in shapes if before in shape)
        yield Step("method=vocabulary", FLOAT32 * (numbers - (before - rows) * columns), None, False)
    yield Step("method=quantize", FLOAT16 * numbers, None, False)
    in_int8 = sum(size_of(shape) if len(shape) > 1 else FLOAT32 * size_of(shape) for shape in shapes)
    scales = sum(-(-size_of(shape) // GROUP) * FLOAT16 for shape in shapes if len(shape) > 1)
    yield Step("method=quantize storage=int8", in_int8 + scales, None, False)
    in_blocks = [part for part in parts if part.name.startswith("layer ")]
    if len(blocks) > 1 and backbone.get_config().get("num_layers") == len(blocks):
        share = len(blocks) // 2 / len(blocks)
        gone = share * sum(part.parameters for part in in_blocks)
        faster = milliseconds - share * sum(part.milliseconds[large] for part in in_blocks)
        left = len(blocks) - len(blocks) // 2
        yield Step(
            f"method=distil layers={left}", round(FLOAT32 * (numbers - gone)), max(faster, milliseconds / 100), True
        )
    if "padding_mask" in train.feature_types:  # not an encoder with a decoder, of which no units are removed
        yield from _thinner_layers(backbone, blocks, in_blocks, numbers, milliseconds)


def _thinner_layers(
    backbone: keras.Model, blocks: list[keras.layers.Layer], parts: list[Part], numbers: int, milliseconds: float
) -> Iterator[Step]:
    """What layers with half of their units, and half of their heads, would bring."""
    large = max(parts[0].milliseconds) if parts else 0
    if "intermediate_dim" in backbone.get_config() and all(hasattr(block, SECOND) for block in blocks):
        units = int(backbone.get_config()["intermediate_dim"])
        share = 1 - kept_count(units, HALF) / units
        gone = share * sum(map(_unit_weights, blocks))
        slow = sum(part.milliseconds[large] for part in parts if "feed-forward" in part.name)
        # Norms and residuals are a small part of what is measured with it.
        yield Step(
            f"method=feedforward keep={HALF:g}",
            round(FLOAT32 * (numbers - gone)),
            max(milliseconds - share * slow, milliseconds / 100) if slow else None,
            True,
        )
    attentions = attentions_of(blocks)
    if attentions and (heads := attentions[0].num_heads) > 1:
        share = 1 - round(heads * HALF) / heads
        slow = sum(part.milliseconds[large] for part in parts if part.name.endswith("attention"))
        yield Step(
            f"method=heads keep={HALF:g}",
            round(FLOAT32 * (numbers - share * sum(map(_head_weights, attentions)))),
            max(milliseconds - share * slow, milliseconds / 100) if slow else None,
            True,
        )


def _head_weights(attention: keras.layers.MultiHeadAttention) -> int:
    """Numbers of an attention that belong to its heads: all but the bias of what they give."""
    bias = getattr(attention, OUTPUT).bias
    return attention.count_params() - (0 if bias is None else size_of(tuple(bias.shape)))


def _unit_weights(block: keras.layers.Layer) -> int:
    """Numbers of a layer that belong to its hidden units: all of two or three matrices but the last bias."""
    parts = [getattr(block, name, None) for name in (FIRST, GATE, SECOND)]
    bias = getattr(block, SECOND).bias
    outputs = 0 if bias is None else size_of(tuple(bias.shape))
    return sum(part.count_params() for part in parts if part is not None) - outputs


def _kept_rows(assembled: Assembled, train: Prepared) -> int | None:
    """How many tokens `method=vocabulary` would keep; None: it can't trim this tokenizer."""
    try:
        return len(trimmed(assembled.tokenizer, token_ids_of(train.features.items()))[1])
    except UserError:
        return None


def size_of(shape: Shape) -> int:
    """Numbers in a weight of this shape."""
    return int(np.prod(shape, dtype=np.int64))
