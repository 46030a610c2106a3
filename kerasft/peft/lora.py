"""LoRA: a product of two thin matrices beside each linear layer (Hu et al. 2021, arXiv:2106.09685)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.peft import PairsConfig
from kerasft.errors import UserError
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.beside import Beside
from kerasft.peft.forms import LayerAdapter, Product, Values
from kerasft.peft.lora_files import Matrices, lora_config, lora_tensors, read_pairs
from kerasft.peft.targets import Target, find_targets

A, B = "lora_A", "lora_B"


class Pair(LayerAdapter):
    """A and B beside one layer: x -> x W + scale * dropout(x) A B.

    Args:
        target: the layer.
        variables: A (inner, rank), uniform within one over the root of inner at first, as PEFT has it; B (rank, outer),
            zeros at first.
        scale: alpha / rank, or alpha over its root.
        dropout: of what A reads; None: there is none.
    """

    def __init__(
        self,
        target: Target,
        variables: Mapping[str, keras.Variable],
        scale: float,
        dropout: keras.layers.Dropout | None = None,
    ):
        super().__init__(target, variables, () if dropout is None else (dropout,))
        self.scale, self.dropout = scale, dropout

    def dropped(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        """What A reads."""
        return x if self.dropout is None else self.dropout(x, training=training)

    def added(self, read: tf.Tensor) -> tf.Tensor:
        """(rows, inner) -> (rows, outer), what the pair adds."""
        return self.scale * (read @ self.read(A, read) @ self.read(B, read))  # by way of (rows, rank)

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        return base(x) + self.added(self.dropped(x, training))

    @property
    def size(self) -> tuple[int, float]:
        """Rank and scale of `matrices`."""
        return self.variables[A].shape[1], self.scale

    def matrices(self) -> Matrices:
        """Both as they are now."""
        return Matrices(self.value(A), self.value(B), self.scale)

    def delta(self) -> np.ndarray:
        """(inner, outer), what is added to the kernel."""
        now = self.matrices()
        return now.scale * (now.a @ now.b)

    def merged(self) -> Values:
        yield from self.kernel(self.target.matrix() + self.delta())


class Lora(Beside[Pair]):
    """`model.peft.method: lora`."""

    name = "lora"
    config: PairsConfig

    def __init__(
        self, config: PairsConfig, model: keras.Model, backbone: keras.Model, seed: int, start: Adapter | None = None
    ):
        super().__init__(config, model, backbone, seed, start)
        targets = find_targets(model, backbone, config.targets, config.layers)
        self.dropout = self.bank.add_dropout(config.dropout, seed)
        self.adapters = self._adapters(targets)

    def _adapters(self, targets: list[Target]) -> list[Pair]:
        if self.start is None:
            pairs = [self.drawn(target) for target in targets]
        else:
            pairs = read_pairs(self.start, self.config, self.backbone, targets)
        return [self.make(target, pair) for target, pair in zip(targets, pairs)]

    def make(self, target: Target, pair: Matrices) -> Pair:
        """The adapter of a layer."""
        return Pair(target, self._variables(target, pair), pair.scale, self.dropout)

    def _variables(self, target: Target, pair: Matrices) -> dict[str, keras.Variable]:
        return {name: self.bank.add(f"{target.path}/{name}", part) for name, part in ((A, pair.a), (B, pair.b))}

    def drawn(self, target: Target) -> Matrices:
        """The pair of a new adapter."""
        self.check_rank(target)
        bound, rank = 1.0 / math.sqrt(target.inner), self.config.rank
        a = self.draw(target).uniform(-bound, bound, (target.inner, rank)).astype(np.float32)
        return Matrices(a, np.zeros((rank, target.outer), np.float32), self.scale)

    def check_rank(self, target: Target) -> None:
        """Raises UserError for a rank that a layer's kernel can't have."""
        rank, most = self.config.rank, min(target.inner, target.outer)
        if rank > most:
            raise UserError(
                f"model.peft.rank: {rank} is more than {target.path} has, whose kernel is {target.inner} x "
                f"{target.outer}; use {most} or less"
            )

    @property
    def scale(self) -> float:
        """What a new pair's product is multiplied by."""
        rank = self.config.rank
        return self.config.alpha / (math.sqrt(rank) if self.config.scaling == "sqrt" else rank)

    @property
    def rates(self) -> Mapping[str, float]:
        return {pair.variables[B].path: self.config.b_rate for pair in self.adapters}

    def peft_config(self) -> dict[str, Any]:
        return lora_config(self.config, self.backbone, {pair.target.path: pair.size for pair in self.adapters})

    def tensors(self) -> dict[str, np.ndarray]:
        return lora_tensors(self.backbone, {pair.target.path: pair.matrices() for pair in self.adapters})
