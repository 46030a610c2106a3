"""Texts without labels that a training learns from, by its own answers or by those of a teacher."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.prepared.beside import with_beside
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import read_records
from kerasft.data.stages.registry import STAGES
from kerasft.data.stages.rewriting import Rewriting
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.tasks.base import Task
from kerasft.training.objectives.distillation import LABELLED

CHUNK = 1024  # rows of a table that are copied at a time


def unlabelled_texts(config: Config, task: Task, tables: Mapping[str, Table], terminal: Terminal) -> Table | None:
    """The texts of `training.self_training` or of `training.objective`; None: the config names none.

    Those that stand in a split, test among them, are left out, and copies. What `data.clean` writes in another form is
    written so here, too.

    Args:
        config: names the sources, with the columns of `data.columns`.
        task: has learnt its labels; a row's target is `Task.unlabelled`'s.
        tables: the splits.
        terminal: is told how many there are.

    Raises:
        UserError: a row has no text, or no text is left.
    """
    training = config.training
    for key, section in (("self_training", training.self_training), ("objective", training.objective)):
        if section is not None and (sources := getattr(section, "unlabelled", None)) is not None:
            return _read(f"training.{key}.unlabelled", sources, config, task, tables, terminal)
    return None


def _read(
    key: str, sources: str | list[str], config: Config, task: Task, tables: Mapping[str, Table], terminal: Terminal
) -> Table:
    records = read_records(sources, config.data.format, Reading.of(config.data, terminal.line))
    table = Table.from_rows(map(task.unlabelled, records), task.schema())
    for stage in STAGES:
        if isinstance(stage, Rewriting) and stage.asked(config):
            table = stage.apply({"train": table}, config, task).tables["train"]
    known = {texts for split in tables.values() for texts in _texts(split, task)}
    kept = []
    for number, texts in enumerate(_texts(table, task)):
        if texts not in known:
            known.add(texts)
            kept.append(number)
    if not kept:
        raise UserError(f"{key}: {sources} has no text beside the splits; name a file with others")
    terminal.line(
        f"{key}: {len(kept):,} of {len(table):,} texts; those of train, validation and test are left out, and copies"
    )
    return table.select(kept)


def _texts(table: Table, task: Task) -> Iterator[tuple[str, ...]]:
    return zip(*(table.column(name) for name in task.inputs), strict=True)


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
        train: of the labelled rows alone; their weights stay. A text weighs 1, and a window of one as many as it has
            tokens, as ever.
    """
    more = len(both) - len(train)
    labelled = np.repeat([1.0, 0.0], [len(train), more]).astype(np.float32)
    rest = np.ones(more, np.float32)
    if both.token_targets:
        labelled, rest = np.repeat(labelled, both.lengths), both.weights[len(train) :]
    weights = np.concatenate([train.weights, rest])
    return with_beside(replace(both, weights=weights), {LABELLED: labelled})
