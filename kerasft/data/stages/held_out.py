"""`data.validation` and `data.test` as shares of train: drawn by the seed, each group in its proportion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kerasft.config.schema import Config
from kerasft.data.stages.base import Stage, Staged, Tables
from kerasft.errors import UserError

if TYPE_CHECKING:
    from kerasft.tasks.base import Task


class HeldOut(Stage):
    """A split that is a share of train.

    Args:
        split: validation or test.
    """

    draws = True

    def __init__(self, split: str):
        self.split = split
        self.name = f"{split}_share"

    def applies(self, config: Config) -> bool:
        return isinstance(getattr(config.data, self.split), float)

    def apply(self, tables: Tables, config: Config, task: Task) -> Staged:
        train, share = tables["train"], getattr(config.data, self.split)
        learn, measure = held_out_share(len(train), share, task.stratify(train), config.seed, self.split)
        return Staged({**tables, "train": train.select(learn), self.split: train.select(measure)})


def held_out_share(
    rows: int, share: float, groups: np.ndarray | None, seed: int, split: str = "validation"
) -> tuple[np.ndarray, np.ndarray]:
    """Splits rows into a part to learn from and a part to measure on, each group in its proportion.

    Args:
        rows: how many rows there are.
        share: of them, this share is held out; largest remainders decide where it does not divide.
        groups: (rows,) group of each row, or None for one group. A group of one row is learnt from.
        seed: the same seed gives the same split.
        split: what the share is for, to name it in an error.

    Returns:
        (n,), (m,) int64 indices in ascending order, without overlap, n + m = rows.
    """
    if rows * share < 1:
        other = ", or write leave_one_out with training.fit_head: true" if split == "validation" else ""
        raise UserError(f"data.{split}: a share of {share} of {rows} rows is less than one row; name a file{other}")
    groups = np.zeros(rows, np.int64) if groups is None else groups
    order = np.random.default_rng(seed).permutation(rows)
    order = order[np.argsort(groups[order], kind="stable")]  # shuffled rows, one group after the other
    counts = np.bincount(groups)
    quotas = counts * share
    sizes = np.minimum(np.floor(quotas), np.maximum(counts - 1, 0)).astype(np.int64)
    spare = np.argsort(sizes - quotas, kind="stable")  # the largest remainder first
    for group in spare[: max(0, round(rows * share) - int(sizes.sum()))]:
        sizes[group] += sizes[group] + 1 < counts[group]
    if sizes.sum() == 0 or sizes.sum() == rows:
        raise UserError(f"data.{split}: a share of {share} of {rows} rows leaves a part empty; give a larger source")
    rank = np.arange(rows) - np.repeat(np.cumsum(counts) - counts, counts)
    measured = rank < np.repeat(sizes, counts)
    return np.sort(order[~measured]), np.sort(order[measured])
