"""How the batches of a run are made: which rows they have, and whether texts share rows of the transformer layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from kerasft.config.schema import Config
from kerasft.data.batching import epoch_batches, steps_per_epoch, training_batches
from kerasft.data.pack_plan import Filling, Packing, RowShape, rounded
from kerasft.data.prepared import Prepared
from kerasft.errors import UserError
from kerasft.training.packed_layers import PackedLayers

PAYS = 0.9  # `auto` packs where the transformer layers then cost less than this share of what they cost with padding


@dataclass(frozen=True)
class Batches:
    """The batches of a run.

    Attributes:
        lengths: (rows,) tokens of each row.
        size: examples of a batch.
        method: of `kerasft.data.batching`.
        seed: of the run.
        packing: of the texts; None: each has a row of its own.
        packed: the model's layers for it.
        filling: what it saves, where all its rows have one shape.
    """

    lengths: np.ndarray
    size: int
    method: str
    seed: int
    packing: Packing | None = None
    packed: PackedLayers | None = None
    filling: Filling | None = None

    @classmethod
    def of(
        cls, config: Config, model: keras.Model, train: Prepared, size: int, steps: int, replicas: int, static: bool
    ) -> Batches:
        """What `data.batching` stands for.

        Args:
            config: the resolved config.
            model: that is trained.
            train: its split.
            size: examples of a batch, `training.batch_size` or another that is tried.
            steps: of the run.
            replicas: that share a batch.
            static: the device wants one shape; its texts have the longest length there can be.

        Raises:
            UserError: `pack`, with a model that can't.
        """
        method, seed = config.data.batching, config.seed
        if method in ("pad", "bucket") or (method == "auto" and not static):
            return cls(train.tokens, size, "bucket" if method == "auto" else method, seed)
        try:
            packed = PackedLayers(model)
        except UserError:
            if method == "pack":
                raise
            return cls(train.tokens, size, "pad", seed)
        texts = train.text_lengths
        if not static:
            return cls(train.tokens, size, "pack", seed, Packing(texts), packed)
        parts = replicas * config.training.gradient_accumulation
        packing = Packing.of_one_shape(texts, _epochs(train.tokens, size, seed, steps), size, parts)
        alone = RowShape(texts.shape[1] * size // parts, rounded(train.longest))
        if method == "auto" and packing.shape.cost > PAYS * alone.cost:
            return cls(train.tokens, size, "pad", seed)
        packed, plans = PackedLayers(model, packing.shape), steps_per_epoch(len(train), size) * parts
        return cls(train.tokens, size, "pack", seed, packing, packed, packing.filling(alone, plans))

    def from_step(self, first_step: int) -> Iterator[np.ndarray]:
        """The rows of each batch, one a step, without end."""
        return training_batches(self.lengths, self.size, self.method, self.seed, first_step)


def _epochs(lengths: np.ndarray, size: int, seed: int, steps: int) -> Iterator[list[np.ndarray]]:
    """The packed batches of each epoch of a run."""
    per_epoch = steps_per_epoch(len(lengths), size)
    for epoch in range(math.ceil(steps / per_epoch)):
        yield epoch_batches(lengths, size, "pack", seed, epoch)[: steps - epoch * per_epoch]
