"""Train in several forms, one for each epoch: which rows an epoch has, and how they are changed.

A row's form is a pure function of (seed, epoch, row), made before the first step: so the length of each row is known
when batches are planned and packed, a run that goes on has the same rows, and a step never waits for a tokenizer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.augment import MOST_VARIANTS
from kerasft.config.schema import Config
from kerasft.data.augmentation.base import Augmenter
from kerasft.data.tables.table import Table

if TYPE_CHECKING:
    from kerasft.tasks.base import Task

DRAWS = 0x617567  # parts these random numbers from those of shuffling and hiding
CHUNK = 1024  # rows that are read at a time


@dataclass(frozen=True)
class Variants:
    """Rows of train and their changed forms, and which of them each epoch has.

    Attributes:
        table: the rows of train as they are, then changed ones.
        source: (rows of `table`,) the row of train that each is made from.
        epochs: (rows of an epoch,) of `table`, for each epoch; after the last comes the first again.
        counts: method -> how many rows it changed, of all epochs.
        unchanged: rows that were to be changed, and in which the method found nothing.
    """

    table: Table
    source: np.ndarray
    epochs: tuple[np.ndarray, ...]
    counts: dict[str, int] = field(default_factory=dict)
    unchanged: int = 0

    def __str__(self) -> str:
        changed = sum(self.counts.values())
        by = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        nothing = f"; in {self.unchanged:,} a method found nothing to change" if self.unchanged else ""
        plural = "" if len(self.epochs) == 1 else "s"
        return f"augment: {changed:,} changed rows in {len(self.epochs)} epoch{plural} ({by}){nothing}"


class RowAugmenter:
    """Changes rows of a task, each by one of some methods.

    Args:
        augmenters: one is drawn for each row.
        task: says which texts a row has, and where their spans are.
        seed: of the run.
    """

    def __init__(self, augmenters: Sequence[Augmenter], task: Task, seed: int):
        self.augmenters, self.task, self.seed = augmenters, task, seed

    def draws(self, epoch: int, row: int, copy: int) -> np.random.Generator:
        """The random numbers of one row in one epoch."""
        return np.random.default_rng([self.seed, DRAWS, epoch, row, copy])

    def changed(self, row: dict[str, Any], random: np.random.Generator) -> tuple[str, dict[str, Any] | None]:
        """The method that was drawn, and the changed row; None where it found nothing to change."""
        method = self.augmenters[int(random.integers(len(self.augmenters)))]
        texts = self.task.marked_texts(row)
        after = {name: text.edited(method.edits(text, random)) for name, text in texts.items()}
        if all(after[name].text == texts[name].text for name in texts):
            return method.name, None
        return method.name, self.task.with_texts(row, after)


def count_variants(config: Config, rows: int) -> int:
    """`augment.variants`, or one for each epoch of the run.

    Args:
        config: `augment` and `training` are read.
        rows: of an epoch.
    """
    assert config.augment is not None
    if config.augment.variants is not None:
        return config.augment.variants
    training = config.training
    epochs = training.epochs if training.steps is None else training.steps * training.batch_size / max(1, rows)
    assert epochs is not None
    return min(MOST_VARIANTS, max(1, math.ceil(epochs)))


def make_variants(train: Table, config: Config, rows: RowAugmenter) -> Variants:
    """Train in the forms that a config asks for.

    Args:
        train: its rows.
        config: `augment`, `training` and the seed are read.
        rows: changes them.
    """
    assert config.augment is not None
    share = config.augment.rows
    balance = config.augment.balance
    groups = None if balance is None else rows.task.stratify(train)
    groups = np.zeros(len(train), np.int64) if groups is None else groups
    counts: Counter[str] = Counter({method.name: 0 for method in rows.augmenters})
    source, epochs, unchanged = list(range(len(train))), [], 0

    def every() -> Iterator[dict[str, Any]]:
        nonlocal unchanged
        yield from _rows(train, np.arange(len(train)))
        for epoch in range(count_variants(config, len(train))):
            members = copied_rows(groups, balance, [config.seed, DRAWS, epoch])
            copies: Counter[int] = Counter()
            for place, row in enumerate(_rows(train, members.copy())):
                index = int(members[place])
                random = rows.draws(epoch, index, copies[index])
                draw, copy = random.random(), copies[index]
                copies[index] += 1
                if not copy and draw >= share:
                    continue
                name, changed = rows.changed(row, random)
                if changed is None:
                    unchanged += 1
                    continue
                counts[name] += 1
                members[place] = len(source)
                source.append(index)
                yield changed
            epochs.append(members)

    table = Table.from_rows(every(), train.schema)
    return Variants(table, np.asarray(source, np.int64), tuple(epochs), dict(counts), unchanged)


def copied_rows(groups: np.ndarray, balance: float | None, seed: Sequence[int]) -> np.ndarray:
    """All rows, then more copies of those of rare classes.

    Args:
        groups: (rows,) the class of each.
        balance: a class has at least this share of the rows of the largest; None: no copies.
        seed: decides which rows of a class have one copy more than the others.

    Returns:
        (n,) int64 numbers of rows.
    """
    whole = np.arange(len(groups))
    if balance is None:
        return whole
    random, counts, parts = np.random.default_rng(seed), np.bincount(groups), [whole]
    least = round(balance * counts.max())
    for group in np.flatnonzero((counts > 0) & (counts < least)):
        rows = np.flatnonzero(groups == group)
        times, rest = divmod(int(least - len(rows)), len(rows))
        parts += [rows] * times + [np.sort(random.permutation(rows)[:rest])]
    return np.concatenate(parts)


def _rows(table: Table, indices: np.ndarray) -> Iterator[dict[str, Any]]:
    for start in range(0, len(indices), CHUNK):
        yield from table.rows(indices[start : start + CHUNK])
