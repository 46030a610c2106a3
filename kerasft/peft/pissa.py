"""PiSSA: LoRA that begins with the largest singular values of a kernel (Meng et al. 2024, arXiv:2404.02948)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.peft import PairsConfig
from kerasft.peft.forms import Product
from kerasft.peft.lora import A, B, Lora, Pair
from kerasft.peft.lora_files import Matrices, lora_config, lora_tensors, read_pairs
from kerasft.peft.targets import Target


class StartedPair(Pair):
    """x -> x W + scale * x (A B - A0 B0), A0 and B0 being what A and B began with.

    The paper takes A0 B0 off the kernel. Here the base stays as it is, and what is learnt is a pair of twice the rank.

    Args:
        target: the layer.
        variables: A and B.
        scale: of both products.
        begun: A0 and B0; they do not train.
    """

    def __init__(self, target, variables: Mapping[str, keras.Variable], scale: float, begun: Mapping, dropout=None):
        super().__init__(target, variables, scale, dropout)
        self.begun = begun

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        read = self.dropped(x, training)
        taken = (tf.cast(tf.convert_to_tensor(self.begun[name]), x.dtype) for name in (A, B))
        return base(x) + (self.added(read) - self.scale * (read @ next(taken) @ next(taken)))

    @property
    def size(self) -> tuple[int, float]:
        return 2 * super().size[0], self.scale

    def matrices(self) -> Matrices:
        first = [keras.ops.convert_to_numpy(self.begun[name]) for name in (A, B)]
        a = np.concatenate([self.value(A), first[0]], axis=1)
        return Matrices(a, np.concatenate([self.value(B), -first[1]]), self.scale)


class Pissa(Lora):
    """`model.peft.method: pissa`. Its adapter is one of LoRA of twice the rank, for any program that reads such."""

    name = "pissa"

    @property
    def _doubled(self) -> PairsConfig:
        """The settings of what is saved: twice the rank, and as large a scale."""
        more = 2**0.5 if self.config.scaling == "sqrt" else 2
        return self.config.model_copy(update={"rank": 2 * self.config.rank, "alpha": more * self.config.alpha})

    def _adapters(self, targets: list[Target]) -> list[Pair]:
        if self.start is None:
            return super()._adapters(targets)
        pairs = read_pairs(self.start, self._doubled, self.backbone, targets)
        return [self._resumed(target, pair) for target, pair in zip(targets, pairs)]

    def _resumed(self, target: Target, pair: Matrices) -> Pair:
        half = pair.a.shape[1] // 2
        begun = Matrices(pair.a[:, half:], -pair.b[half:], pair.scale)
        return self._started(target, Matrices(pair.a[:, :half], pair.b[:half], pair.scale), begun)

    def drawn(self, target: Target) -> Matrices:
        """The largest singular values, half of each in either factor."""
        self.check_rank(target)
        rank, kernel = self.config.rank, target.matrix().astype(np.float64)
        thin = target.inner <= target.outer
        square = kernel @ kernel.T if thin else kernel.T @ kernel  # its eigenvectors are singular vectors
        values, vectors = np.linalg.eigh(square)
        sizes = np.sqrt(np.maximum(values[::-1][:rank], 1e-30))
        own = vectors[:, ::-1][:, :rank]
        other = (kernel.T @ own if thin else kernel @ own) / sizes
        left, right = (own, other) if thin else (other, own)
        root = np.sqrt(sizes / self.scale)
        return Matrices((left * root).astype(np.float32), (right * root).T.astype(np.float32), self.scale)

    def make(self, target: Target, pair: Matrices) -> Pair:
        return self._started(target, pair, pair)

    def _started(self, target: Target, now: Matrices, begun: Matrices) -> Pair:
        first = {
            name: self.bank.add(f"{target.path}/{name}_begun", part, trainable=False)
            for name, part in ((A, begun.a), (B, begun.b))
        }
        return StartedPair(target, self._variables(target, now), now.scale, first, self.dropout)

    def peft_config(self) -> dict[str, Any]:
        return lora_config(self._doubled, self.backbone, {pair.target.path: pair.size for pair in self.adapters})

    def tensors(self) -> dict[str, np.ndarray]:
        return lora_tensors(self.backbone, {pair.target.path: pair.matrices() for pair in self.adapters})
