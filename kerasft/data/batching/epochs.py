"""The batches of a run, epoch after epoch, from any step on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kerasft.config.schema import TrainingConfig
from kerasft.data.batching.batching import epoch_batches, steps_per_epoch
from kerasft.data.batching.label_batches import label_batches
from kerasft.data.batching.token_batches import TokenLimit, token_batches


def count_steps(training: TrainingConfig, steps_of: Callable[[float], int]) -> int:
    """`training.steps`, or what `steps_of` says of `training.epochs`: a config has one of both."""
    if training.steps is not None:
        return training.steps
    assert training.epochs is not None
    return steps_of(training.epochs)


class LabelGroups(NamedTuple):
    """Labels of all rows, and how many rows of one stand together."""

    labels: np.ndarray
    size: int


@dataclass(frozen=True)
class Epochs:
    """Which rows form the batch of each step: a pure function of these attributes.

    Attributes:
        lengths: (rows,) tokens of each row.
        size: rows of a batch.
        method: of `kerasft.data.batching.batching`.
        seed: `seed` of the config: with another one each epoch has another order.
        limit: of a batch, where its size is a number of tokens; None: it is one of rows.
        members: (rows of an epoch,) of each epoch, where they have other ones; after the last comes the first again.
            None: every epoch has all rows.
        groups: of rows of one label that stand together; None: `method` alone says which rows do.
    """

    lengths: np.ndarray
    size: int
    method: str
    seed: int
    limit: TokenLimit | None = None
    members: Sequence[np.ndarray] | None = None
    groups: LabelGroups | None = None
    _counted: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def batches(self, epoch: int) -> list[np.ndarray]:
        """The rows of each batch of an epoch."""
        if self.groups is not None:
            return label_batches(self.groups.labels, self.size, self.groups.size, self.seed, epoch)
        rows = self._members(epoch)
        lengths = self.lengths if rows is None else self.lengths[rows]
        if self.limit is None:
            batches = epoch_batches(lengths, self.size, self.method, self.seed, epoch)
        else:
            batches = token_batches(lengths, self.limit, self.method, self.seed, epoch)
            self._counted[epoch] = len(batches)
        return batches if rows is None else [rows[batch] for batch in batches]

    def tokens(self, epoch: int) -> int:
        """Of all rows of an epoch."""
        rows = self._members(epoch)
        return int(self.lengths.sum() if rows is None else self.lengths[rows].sum())

    def steps(self, epoch: int) -> int:
        """Of an epoch; with a number of tokens a batch, or other rows in each, epochs have more or fewer."""
        if self.limit is None:
            rows = self._members(epoch)
            return steps_per_epoch(len(self.lengths if rows is None else rows), self.size)
        return self._counted[epoch] if epoch in self._counted else len(self.batches(epoch))

    def steps_of(self, epochs: float) -> int:
        """Of so many epochs from the first on."""
        if self._alike:
            return math.ceil(epochs * self.steps(0))
        whole = int(epochs)
        share = epochs - whole
        return sum(map(self.steps, range(whole))) + (math.ceil(share * self.steps(whole)) if share else 0)

    def end_after(self, step: int) -> int:
        """The first step behind this one that ends an epoch."""
        epoch, first = self._epoch_at(step)
        return first + self.steps(epoch)

    def from_step(self, first_step: int) -> Iterator[np.ndarray]:
        """The rows of each batch, one a step, without end."""
        epoch, first = self._epoch_at(first_step)
        skip = first_step - first
        while True:
            yield from self.batches(epoch)[skip:]
            epoch, skip = epoch + 1, 0

    @property
    def _alike(self) -> bool:
        """Whether all epochs have as many steps."""
        return self.limit is None and (self.members is None or len({*map(len, self.members)}) == 1)

    def _members(self, epoch: int) -> np.ndarray | None:
        return None if self.members is None else self.members[epoch % len(self.members)]

    def _epoch_at(self, step: int) -> tuple[int, int]:
        """The epoch of the step that follows so many, and how many steps precede that epoch."""
        if self._alike:
            epoch = step // self.steps(0)
            return epoch, epoch * self.steps(0)
        epoch, first = 0, 0
        while first + self.steps(epoch) <= step:
            first += self.steps(epoch)
            epoch += 1
        return epoch, first
