"""QLoRA: LoRA beside kernels that are kept in 4 or 8 bits (Dettmers et al. 2023, arXiv:2305.14314)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.peft import QloraConfig
from kerasft.errors import UserError
from kerasft.models.layer_classes import Changes, as_classes
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.forms import LayerAdapter, Product, Values, adapted
from kerasft.peft.lora import A, B, Lora, Pair
from kerasft.peft.lora_files import Matrices
from kerasft.peft.packed_kernels import PackedKernel, pack, product, unpack
from kerasft.peft.packed_matrices import Int8, Nf4, PackedMatrix
from kerasft.peft.targets import Target, in_blocks, linear_layers


def packed_product(layer: keras.layers.Layer, base: Product) -> Product:
    """A layer's product by its packed kernel; its own where that is not packed."""
    kernel = layer.kernel
    return (lambda x: product(x, kernel.packed)) if isinstance(kernel, PackedKernel) else base


class PackedPair(Pair):
    """A pair of LoRA beside a kernel that may be packed."""

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        return super().product(x, packed_product(self.target.layer, base), training)

    def merged(self) -> Values:
        return iter(()) if isinstance(self.target.layer.kernel, PackedKernel) else super().merged()


class PackedAlone(LayerAdapter):
    """Nothing beside a packed kernel, which is multiplied by all the same."""

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        return packed_product(self.target.layer, base)(x)

    def merged(self) -> Values:
        return iter(())


class Qlora(Lora):
    """`model.peft.method: qlora`. The linear layers of all transformer blocks are packed, whatever `targets` says.

    What is trained, validated and exported has the packed numbers as its base, which is therefore another than the
    preset's: they are not equal, but near.
    """

    name = "qlora"

    def __init__(
        self, config: QloraConfig, model: keras.Model, backbone: keras.Model, seed: int, start: Adapter | None = None
    ):
        super().__init__(config, model, backbone, seed, start)
        self.quantization, self.double = config.quantization, config.double_quantization
        self.switch = tf.Variable(
            tf.constant(0.0), trainable=False
        )  # 1: whoever reads a kernel reads the adapter in it
        self.packed = [target for target in linear_layers(backbone) if in_blocks(target, backbone)]
        if not self.packed:
            raise UserError(
                f"model.peft.method: qlora finds no linear layer to pack in this {type(backbone).__name__}; use lora"
            )
        for target in self.packed:
            pack(target.layer.kernel, self._pack(np.ascontiguousarray(target.matrix().T)))
        beside = {pair.target.path: pair for pair in self.adapters}
        for pair in (beside[target.path] for target in self.packed if target.path in beside):
            pair.target.layer.kernel.added = self._added(pair)
        alone = [PackedAlone(target, {}) for target in self.packed if target.path not in beside]
        self._all: list[LayerAdapter] = [*self.adapters, *alone]

    def _pack(self, matrix: np.ndarray) -> PackedMatrix:
        if self.quantization == "int8":
            return Int8(matrix)
        return Nf4(matrix, self.double)

    def _added(self, pair: Pair):
        variables, scale = pair.variables, pair.scale
        return lambda: (self.switch * scale) * (tf.convert_to_tensor(variables[A]) @ tf.convert_to_tensor(variables[B]))

    def make(self, target: Target, pair: Matrices) -> Pair:
        return PackedPair(target, self._variables(target, pair), pair.scale, self.dropout)

    @property
    def figures(self) -> Mapping[str, Any]:
        """Bytes of the packed kernels, and of the same in float32."""
        numbers = sum(target.inner * target.outer for target in self.packed)
        return {
            "quantization": self.quantization,
            "packed_bytes": sum(target.layer.kernel.packed.bytes for target in self.packed),
            "float32_bytes": 4 * numbers,
        }

    def changes(self) -> Changes:
        return adapted(self._all)

    @contextlib.contextmanager
    def merged(self) -> Iterator[None]:
        """Whoever reads a kernel reads base and adapter inside; nothing is unpacked for longer than it is read."""
        self.switch.assign(1.0)
        try:
            with super().merged():
                yield
        finally:
            self.switch.assign(0.0)

    @contextlib.contextmanager
    def validated(self) -> Iterator[None]:
        """Layers keep the forms of a step, which have one kernel at a time in memory."""
        with self.merged(), as_classes(self.changes()):
            yield

    def merge(self) -> None:
        with self.merged():
            values = [keras.ops.convert_to_numpy(target.layer.kernel) for target in self.packed]
        super().merge()
        for target, value in zip(self.packed, values):
            unpack(target.layer.kernel, value)
