"""The matrices of a backbone's transformer layers in four bits, by what they read of training rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.compress.base import Source
from kerasft.compress.rounding import awq_scales, gptq
from kerasft.compress.smaller_backbone import resized
from kerasft.errors import UserError
from kerasft.models.blocks import dense_layers, transformer_blocks
from kerasft.models.layer_classes import Form, as_classes
from kerasft.models.presets.four_bits import FourBits, nearest
from kerasft.models.presets.narrow_weights import digest
from kerasft.peft.targets import contracted_axes

BATCH = 8  # rows
# A normalisation, and the layers that alone read what it gives (KerasHub's Llama and its kin).
ATTENTION, READ = "_self_attention_layer", ("_query_dense", "_key_dense", "_value_dense")
NORMS = ("_self_attention_layernorm", "_feedforward_layernorm")
FEED_FORWARD = ("_feedforward_gate_dense", "_feedforward_intermediate_dense")


@dataclass
class Inputs:
    """What a layer reads.

    Attributes:
        products: (inputs, inputs) sums over tokens, float32.
        sizes: (inputs,) sums of absolute values.
        tokens: how many.
    """

    products: Any = 0.0
    sizes: Any = 0.0
    tokens: int = 0

    def add(self, values: np.ndarray) -> None:
        """(tokens, inputs)."""
        self.products = self.products + values.T @ values
        self.sizes = self.sizes + np.abs(values).sum(0)
        self.tokens += len(values)


@dataclass
class Quantized:
    """What becomes of the weights.

    Attributes:
        changes: path -> new value.
        bits: digest of a new value -> its four bits.
    """

    changes: dict[str, np.ndarray] = field(default_factory=dict)
    bits: dict[str, FourBits] = field(default_factory=dict)

    def add(self, kernel: keras.Variable, bits: FourBits) -> None:
        """A matrix."""
        value = bits.values()
        self.changes[kernel.path] = value
        self.bits[digest(value)] = bits


def four_bit_backbone(source: Source, rounding: str, rows: int) -> tuple[keras.Model, dict[str, FourBits]]:
    """The backbone with weights that four bits can hold, and these bits by the digest of each weight.

    Args:
        source: its training rows are what the layers read.
        rounding: `nearest`, `gptq` or `awq`.
        rows: how many training rows.

    Raises:
        UserError: the layers are not known here.
    """
    backbone = source.assembled.backbone
    blocks = transformer_blocks(backbone)
    layers = [layer for block in blocks for layer in dense_layers(block)]
    quantized = Quantized()
    if rounding == "awq" and not all(hasattr(block, name) for block in blocks for name in (*NORMS, *FEED_FORWARD)):
        raise UserError(
            f"rounding=awq: a {type(backbone).__name__} has no normalisation right before its matrices; use gptq"
        )
    read = {} if rounding == "nearest" else _inputs_of(source, layers, rows)
    if rounding == "awq":
        for block in blocks:
            _scale(block, read, quantized)
    for layer in layers:
        if layer.kernel.path in quantized.changes:
            continue
        matrix = matrix_of(layer)
        shape = tuple(layer.kernel.shape)
        plain = rounding != "gptq"
        bits = nearest(matrix, shape) if plain else gptq(matrix, read[id(layer)].products, shape)
        quantized.add(layer.kernel, bits)
    made = resized(backbone, lambda path, value, shape: quantized.changes.get(path, value))
    return made, quantized.bits


def matrix_of(layer: Any) -> np.ndarray:
    """(inputs, outputs) of a dense layer. Raises UserError: its inputs are not the first axes of its kernel."""
    kernel, axes = keras.ops.convert_to_numpy(layer.kernel), contracted_axes(layer)
    if not axes:
        raise UserError(f"storage=int4: {layer.path} ({layer.equation}) is not known here; use storage=int8")
    return kernel.reshape(int(np.prod(kernel.shape[:axes])), -1)


def _scale(block: Any, read: dict[int, Inputs], quantized: Quantized) -> None:
    """AWQ of a layer: what its two normalisations give becomes smaller, and the matrices that read it larger."""
    attention = getattr(block, ATTENTION)
    readers = ([getattr(attention, name) for name in READ], [getattr(block, name) for name in FEED_FORWARD])
    for name, layers in zip(NORMS, readers):
        inputs = read[id(layers[0])]
        matrices = [matrix_of(layer) for layer in layers]
        scales = awq_scales(matrices, inputs.products, inputs.sizes / max(inputs.tokens, 1))
        norm = getattr(block, name).scale
        quantized.changes[norm.path] = keras.ops.convert_to_numpy(norm) / scales
        for layer, matrix in zip(layers, matrices):
            quantized.add(layer.kernel, nearest(matrix * scales[:, None], tuple(layer.kernel.shape)))


def _inputs_of(source: Source, layers: list[Any], rows: int) -> dict[int, Inputs]:
    """id of a layer -> what it reads of some training rows; padding is left out."""
    prepared = source.prepared
    few = np.unique(np.linspace(0, len(prepared) - 1, min(rows, len(prepared))).astype(np.int64))
    read: dict[int, Inputs] = {}
    same: dict[int, tuple[tf.Tensor, Inputs]] = {}  # id of a tensor -> that of layers which read the same one
    mask: list[Any] = [None]

    def record(layer: Any, values: tf.Tensor) -> None:
        if tuple(values.shape[:2]) != mask[0].shape:  # not of the texts: DeBERTa's vectors of distances
            return
        first = id(values) not in same
        inputs = read.setdefault(id(layer), same[id(values)][1] if not first else Inputs())
        if first or same[id(values)][1] is not inputs:
            inputs.add(values.numpy()[mask[0]].reshape(int(mask[0].sum()), -1).astype(np.float32))
        same[id(values)] = (values, inputs)

    with as_classes([(layer, _recording(type(layer), record)) for layer in layers]):
        for start in range(0, len(few), BATCH):
            features = prepared.batch(few[start : start + BATCH])[0]
            if "padding_mask" not in features:
                raise UserError("rounding: gptq and awq are not for an encoder with a decoder; set rounding=nearest")
            mask[0] = np.asarray(features["padding_mask"]).astype(bool)
            same.clear()
            source.assembled.model({name: tf.constant(features[name]) for name in features}, training=False)
    return read


def _recording(kind: type, record: Callable[[Any, tf.Tensor], None]) -> type:
    """The class of a layer, telling what it reads."""

    def call(self: Any, inputs: tf.Tensor, *rest: Any, **options: Any) -> Any:
        record(self, inputs)
        return kind.call(self, inputs, *rest, **options)

    return type(f"Recording{kind.__name__}", (Form, kind), {"call": call})
