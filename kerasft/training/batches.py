"""How the batches of a run are made: which rows they have, and whether texts share rows of the transformer layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerasft.config.schema import Config
from kerasft.data.batching.epochs import Epochs, LabelGroups, count_steps
from kerasft.data.batching.pack_plan import Filling, Packing, RowShape, rounded
from kerasft.data.batching.token_batches import TokenLimit
from kerasft.data.prepared.prepared import Prepared
from kerasft.errors import UserError
from kerasft.training.layers.packed_layers import PackedLayers

PAYS = 0.9  # `auto` packs where the transformer layers then cost less than this share of what they cost with padding


@dataclass(frozen=True)
class Batches:
    """The batches of a run.

    Attributes:
        epochs: which rows they have.
        steps: number of the run's last step, by `training.steps` or `training.epochs`.
        packing: of the texts; None: each has a row of its own.
        packed: the model's layers for it.
        filling: what it saves, where all its rows have one shape.
    """

    epochs: Epochs
    steps: int
    packing: Packing | None = None
    packed: PackedLayers | None = None
    filling: Filling | None = None

    @classmethod
    def of(cls, config: Config, model: keras.Model, train: Prepared, size: int, replicas: int, static: bool) -> Batches:
        """What `data.batching` stands for.

        Args:
            config: `data.batching`, `training` and the seed are read.
            model: whose transformer layers would take several texts a row.
            train: the training split, for the lengths of its rows.
            size: examples of a batch, `training.batch_size` or another that is tried.
            replicas: that share a batch.
            static: the device wants one shape; its texts have the longest length there can be.

        Raises:
            UserError: `pack`, with a model that can't.
        """
        method, training = config.data.batching, config.training
        parts = replicas * training.gradient_accumulation
        tokens = None if static else config.ragged_tokens()
        limit = None if tokens is None else TokenLimit(tokens, train.longest, parts)

        contrastive = training.contrastive
        groups = None if contrastive is None else LabelGroups(train.targets, contrastive.texts_per_label)

        def create(method: str, *packing: Any) -> Batches:
            epochs = Epochs(train.tokens, size, method, config.seed, limit, train.epochs, groups)
            return cls(epochs, count_steps(training, epochs.steps_of), *packing)

        if groups is not None:
            return create("pad")
        if method in ("pad", "bucket") or (method == "auto" and not static):
            return create("bucket" if method == "auto" else method)
        try:
            packed = PackedLayers(model)
        except UserError:
            if method == "pack":
                raise
            return create("pad")
        texts = train.text_lengths
        if limit is not None:
            return create("pack", Packing(texts, RowShape(limit.packed_rows, limit.packed_length)), packed)
        if not static:
            return create("pack", Packing(texts), packed)
        packing = Packing.of_one_shape(texts, _by_epoch(create("pack")), size, parts)
        alone = RowShape(texts.shape[1] * size // parts, rounded(train.longest))
        assert packing.shape is not None
        if method == "auto" and packing.shape.cost > PAYS * alone.cost:
            return create("pad")
        packed, epochs = PackedLayers(model, packing.shape), create("pack").epochs
        filling = packing.filling(alone, epochs.steps(0) * parts, epochs.tokens(0))
        return create("pack", packing, packed, filling)

    def from_step(self, first_step: int) -> Iterator[np.ndarray]:
        """The rows of each batch, one a step, without end."""
        return self.epochs.from_step(first_step)

    def going_on(self, parts: int | None) -> int | None:
        """What batches of tokens divide into, for the run to keep.

        Args:
            parts: that were kept; None: the run begins, or its batches have a number of rows.

        Raises:
            UserError: with other parts the same step has other rows.
        """
        mine = self.epochs.limit.parts if self.epochs.limit else None
        if parts not in (None, mine):
            raise UserError(
                f"training.tokens_per_batch: the run's batches have {parts} parts (replicas x "
                f"training.gradient_accumulation), and here they would have {mine}; resume with as many replicas as "
                "before, or start again with --overwrite"
            )
        return mine


def check_batch(config: Config, replicas: int, static: bool) -> None:
    """Raises UserError, with the nearest sizes that do, where a batch does not divide or has no room for its parts.

    Args:
        config: `training` and `data.batching` say how large a batch is and what it divides into.
        replicas: that share a batch.
        static: the device wants one shape; otherwise batches of tokens are cut so that they divide.
    """
    training, length = config.training, config.model.max_length
    parts = replicas * training.gradient_accumulation
    over = f"{replicas} replicas"
    if training.gradient_accumulation > 1:
        over += f" x {training.gradient_accumulation} gradient accumulation steps"
    if (tokens := config.ragged_tokens()) is not None and not static:
        row = rounded(length) if config.data.batching == "pack" else length
        if tokens // row < parts:
            raise UserError(
                f"training.tokens_per_batch: {tokens} has no room for {parts} rows of {row} tokens, one for each of "
                f"{over}; use {parts * row} or more"
            )
    elif training.batch_size % parts:
        below, above = training.batch_size // parts * parts, -(-training.batch_size // parts) * parts
        unit = length if training.tokens_per_batch else 1
        fix = f"{below * unit} or {above * unit}" if below else f"{above * unit}"
        key = "training.tokens_per_batch" if training.tokens_per_batch else "training.batch_size"
        rows = f" rows of model.max_length {length} do" if training.tokens_per_batch else " does"
        raise UserError(f"{key}: {training.batch_size}{rows} not divide over {over}; use {fix}")


def _by_epoch(batches: Batches) -> Iterator[list[np.ndarray]]:
    """The batches of each epoch of a run."""
    every = batches.from_step(0)
    remaining = batches.steps
    while remaining:
        count = min(remaining, batches.epochs.steps(0))
        yield list(itertools.islice(every, count))
        remaining -= count
