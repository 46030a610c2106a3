"""The training split with the forms of its rows that `augment` asks for, tokenized before the first step."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.data.augmentation.registry import create_augmenters
from kerasft.data.augmentation.variants import RowAugmenter, make_variants
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.tables.table import Table
from kerasft.tasks.base import Task


def augmented(
    config: Config, task: Task, train: Table, plain: Prepared, prepare: Callable[[str, Table], Prepared]
) -> tuple[Prepared, dict[str, Any], list[str]]:
    """The split that a training learns from.

    Args:
        config: `augment`, `training` and the seed are read.
        task: has learnt its labels.
        train: rows as they are.
        plain: these rows, tokenized.
        prepare: tokenizes more rows of a split.

    Returns:
        The split, whose `epochs` say which rows each has: `plain` itself where no row is changed; the figures of
        `metrics.json`, section `training.augment`; lines for the user.
    """
    if config.augment is None or not config.augment.methods():
        return plain, {}, []
    start = time.monotonic()
    methods = create_augmenters(config.augment, task)
    lines = [line for method in methods for line in method.learn(train, task)]
    variants = make_variants(train, config, RowAugmenter(methods, task, config.seed))
    split = plain
    if len(variants.table) > len(train):
        split = _in_epochs(prepare("train", variants.table), plain, variants.source, variants.epochs)
    figures = {"epochs": len(variants.epochs), "rows": dict(variants.counts), "unchanged": variants.unchanged}
    seconds = time.monotonic() - start
    return split, {"augment": figures | {"seconds": seconds}}, [*lines, f"{variants}, made in {seconds:.1f} s"]


def _in_epochs(split: Prepared, plain: Prepared, source: np.ndarray, epochs: tuple[np.ndarray, ...]) -> Prepared:
    """A split of rows and their changed forms, with the rows of each epoch.

    What is the same for a row in every form comes from the plain split: a weight by classes is that of the classes of
    train, and two rows with the same text remain the same for a loss that compares them.

    Args:
        split: rows of the table of variants.
        plain: the rows of train alone.
        source: (rows of the table,) the row of train that each is made from.
        epochs: rows of the table in each epoch.
    """
    counts = split.rows_of_texts
    firsts = np.cumsum(counts) - counts
    rows = tuple(_stretches(firsts[members], counts[members]) for members in epochs)
    alike = {}
    if not split.token_targets:
        alike = {"targets": plain.targets[source], "weights": plain.weights[source]}
    return dataclasses.replace(split, epochs=rows, **alike)


def _stretches(firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(n,) starts and lengths -> the numbers of all stretches, one behind the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(firsts - before, counts) + np.arange(int(counts.sum()))
