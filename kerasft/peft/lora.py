"""LoRA: a product of two thin matrices beside each linear layer (Hu et al. 2021, arXiv:2106.09685)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.peft import LoraConfig
from kerasft.errors import UserError
from kerasft.models.layer_classes import Changes
from kerasft.peft.base import Method, Values
from kerasft.peft.forms import Product, adapted
from kerasft.peft.lora_files import Matrices, lora_config, lora_tensors, read_pairs
from kerasft.peft.targets import Target, find_targets

A, B = "lora_A", "lora_B"


class Pair:
    """A and B beside one layer: x -> x W + scale * dropout(x) A B.

    Attributes:
        a: (inner, rank), uniform within one over the root of inner, as PEFT has it.
        b: (rank, outer), zeros.
    """

    def __init__(self, target: Target, a: keras.Variable, b: keras.Variable, scale: float, dropout=None):
        self.target, self.a, self.b, self.scale, self.dropout = target, a, b, scale, dropout
        self.layers = () if dropout is None else (dropout,)

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        read = x if self.dropout is None else self.dropout(x, training=training)
        narrow = read @ tf.cast(tf.convert_to_tensor(self.a), x.dtype)  # (rows, rank)
        return base(x) + self.scale * (narrow @ tf.cast(tf.convert_to_tensor(self.b), x.dtype))

    def bias(self, bias: tf.Tensor) -> tf.Tensor:
        return bias

    def matrices(self) -> Matrices:
        """Both as they are now."""
        a, b = (np.array(keras.ops.convert_to_numpy(part)) for part in (self.a, self.b))
        return Matrices(a, b, self.scale)

    def delta(self) -> np.ndarray:
        """(inner, outer), what is added to the kernel."""
        now = self.matrices()
        return now.scale * (now.a @ now.b)


class Lora(Method):
    """`model.peft.method: lora`."""

    name = "lora"
    config: LoraConfig

    def __init__(self, config: LoraConfig, model: keras.Model, backbone: keras.Model, seed: int, start=None):
        super().__init__(config, model, backbone, seed, start)
        targets = find_targets(model, backbone, config.targets, config.layers)
        self.dropout = None
        if config.dropout > 0:  # one for all: each of its calls draws anew
            self.dropout = self.bank.dropout = keras.layers.Dropout(config.dropout, seed=seed, name="lora_dropout")
        known = [self._drawn(target) for target in targets]
        if start is not None:
            known = read_pairs(start, config, backbone, targets)
        self.pairs = [self._pair(target, matrices) for target, matrices in zip(targets, known)]

    def _pair(self, target: Target, matrices: Matrices) -> Pair:
        a, b = self.bank.add(f"{target.path}/{A}", matrices.a), self.bank.add(f"{target.path}/{B}", matrices.b)
        return Pair(target, a, b, matrices.scale, self.dropout)

    def _drawn(self, target: Target) -> Matrices:
        """The pair of a new adapter."""
        rank, most = self.config.rank, min(target.inner, target.outer)
        if rank > most:
            raise UserError(
                f"model.peft.rank: {rank} is more than {target.path} has, whose kernel is {target.inner} x "
                f"{target.outer}; use {most} or less"
            )
        bound = 1.0 / math.sqrt(target.inner)
        a = self.draw(target).uniform(-bound, bound, (target.inner, rank)).astype(np.float32)
        scale = self.config.alpha / (math.sqrt(rank) if self.config.scaling == "sqrt" else rank)
        return Matrices(a, np.zeros((rank, target.outer), np.float32), scale)

    @property
    def weights(self) -> Mapping[str, keras.Variable]:
        found = {}
        for pair in self.pairs:
            found |= {f"{pair.target.path}/{A}": pair.a, f"{pair.target.path}/{B}": pair.b}
        return found

    @property
    def depths(self) -> Mapping[str, int]:
        return {part.path: pair.target.depth for pair in self.pairs for part in (pair.a, pair.b)}

    @property
    def rates(self) -> Mapping[str, float]:
        return {pair.b.path: self.config.b_rate for pair in self.pairs}

    def peft_config(self) -> dict[str, Any]:
        return lora_config(self.config, self.backbone, [pair.target.path for pair in self.pairs])

    def tensors(self) -> dict[str, np.ndarray]:
        return lora_tensors(self.backbone, {pair.target.path: pair.matrices() for pair in self.pairs})

    def changes(self) -> Changes:
        return adapted(self.pairs)

    def merged_values(self) -> Values:
        for pair in self.pairs:
            kernel = pair.target.layer.kernel
            yield kernel, (pair.target.matrix() + pair.delta()).reshape(kernel.shape)
