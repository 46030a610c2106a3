"""Texts without labels that a training learns from, by its own answers or by those of a teacher."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kerasft.config.objective import DistillationConfig
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.prepared.beside import with_beside
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_records
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.tasks.base import Task
from kerasft.training.objectives.distillation import LABELLED

CHUNK = 1024  # rows of a table that are copied at a time


def texts_of_teacher(config: Config, task: Task, tables: Mapping[str, Table], terminal: Terminal) -> Table | None:
    """The texts of `training.objective.unlabelled`; None: the config names none."""
    section = config.training.objective
    if not isinstance(section, DistillationConfig) or section.unlabelled is None:
        return None
    key = "training.objective.unlabelled"
    if config.augment is not None and config.augment.methods():
        raise UserError(f"{key}: texts of augment are made of labelled rows; set it or augment to null")
    return unlabelled_table(key, section.unlabelled, config, task, tables, terminal)


def unlabelled_table(
    key: str, sources: str | list[str], config: Config, task: Task, tables: Mapping[str, Table], terminal: Terminal
) -> Table:
    """Rows of texts without labels; those that stand in a split, test among them, are left out, and copies.

    Args:
        key: of the config that names the sources, for messages.
        sources: with the columns of `data.columns`.
        config: says how files are read.
        task: has learnt its labels; a row's target is `Task.unlabelled`'s.
        tables: the splits.
        terminal: is told how many there are.

    Raises:
        UserError: a row has no text, or no text is left.
    """
    known = {
        row for table in tables.values() for row in zip(*(table.column(name) for name in task.inputs), strict=True)
    }
    rows: list[dict[str, Any]] = []
    count = 0
    for record in read_records(sources, config.data.format, Reading.of(config.data, terminal.line)):
        count += 1
        row = task.unlabelled(record)
        if (texts := tuple(row[name] for name in task.inputs)) not in known:
            known.add(texts)
            rows.append(row)
    if not rows:
        raise UserError(f"{key}: {sources} has no text beside the splits")
    terminal.line(
        f"{key}: {len(rows):,} of {count:,} texts; those of train, validation and test are left out, and copies"
    )
    return Table.from_rows(rows, task.schema())


def joined(one: Table, other: Table) -> Table:
    """The rows of both, in the columns of the second; rows of the first may have more, such as weights."""
    names = other.schema.names

    def rows() -> Iterator[dict[str, Any]]:
        for columns in itertools.chain(one.batches(CHUNK, names), other.batches(CHUNK, names)):
            yield from (dict(zip(columns, values)) for values in zip(*columns.values()))

    return Table.from_rows(rows(), other.schema)


def with_unlabelled(both: Prepared, train: Prepared) -> Prepared:
    """A split of the rows of train and of texts without labels behind them, which is told apart beside the targets.

    Args:
        both: of the table of both.
        train: of the labelled rows alone; their weights stay, the others weigh 1.
    """
    more = len(both) - len(train)
    weights = np.concatenate([train.weights, np.ones(more, np.float32)])
    labelled = np.repeat([1.0, 0.0], [len(train), more]).astype(np.float32)
    if both.token_targets:
        labelled = np.repeat(labelled, both.lengths)
    return with_beside(replace(both, weights=weights), {LABELLED: labelled})
