"""The train, validation and test tables of a config: read, parsed, sampled and split."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.data import Sources
from kerasft.config.schema import Config
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import Record, read_records
from kerasft.data.tables.table import Table
from kerasft.errors import BadRow, UserError

Remark = Callable[[str], None]

if TYPE_CHECKING:  # data lies below tasks: the contract is all that is known here
    from kerasft.tasks.base import Task


def load_splits(config: Config, task: Task, remark: Remark | None = None) -> dict[str, Table]:
    """Reads every split that the config names and lets the task learn from them.

    Args:
        config: names the sources and how they are read.
        task: parses records.
        remark: gets a line for each guess, such as a file's encoding; None: to stderr.

    Returns:
        `train`, `validation` and, where the config names one, `test`.

    Raises:
        UserError: for a row, a column or a split that can't be used; nothing has been written then.
    """
    check_columns(config, task)
    train = read_split(config, task, config.data.train, "train", remark)
    if config.data.limit is not None and config.data.limit < len(train):
        rows = np.random.default_rng(config.seed).permutation(len(train))[: config.data.limit]
        train = train.select(np.sort(rows))
    splits = {}
    for split in ("test", "validation"):  # the test share first: it is then the same whatever is validated on
        source = getattr(config.data, split)
        if isinstance(source, float):
            learn, held = held_out_share(len(train), source, task.stratify(train), config.seed, split)
            train, splits[split] = train.select(learn), train.select(held)
        elif source is not None:
            splits[split] = read_split(config, task, source, split, remark)
    splits = {split: table for split, table in [("train", train), *reversed(splits.items())]}
    task.fit(splits)
    return splits


def read_split(config: Config, task: Task, sources: Sources, split: str, remark: Remark | None = None) -> Table:
    """One source or several -> the rows that the task parses them to. Arguments and errors as `load_splits` has."""
    records = read_records(sources, config.data.format, Reading.of(config.data, remark))
    table = Table.from_rows(_rows(records, task), task.schema())
    if len(table) == 0:
        raise UserError(f"data.{split}: no rows in {sources}; it needs at least one")
    return table


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
    groups = np.zeros(rows, np.int64) if groups is None else groups
    order = np.random.default_rng(seed).permutation(rows)
    order = order[np.argsort(groups[order], kind="stable")]  # shuffled rows, one group after the other
    counts = np.bincount(groups)
    wanted = counts * share
    held = np.minimum(np.floor(wanted), np.maximum(counts - 1, 0)).astype(np.int64)
    spare = np.argsort(held - wanted, kind="stable")  # the largest remainder first
    for group in spare[: max(0, round(rows * share) - int(held.sum()))]:
        held[group] += held[group] + 1 < counts[group]
    if held.sum() == 0 or held.sum() == rows:
        raise UserError(f"data.{split}: a share of {share} of {rows} rows leaves a part empty; give a larger source")
    place = np.arange(rows) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = place < np.repeat(held, counts)
    return np.sort(order[~chosen]), np.sort(order[chosen])


def check_columns(config: Config, task: Task) -> None:
    """Raises UserError where data.columns lacks a role of the task, or names one it does not have."""
    known = [column.role for column in task.columns]
    for role in config.data.columns:
        if role not in known:
            near = difflib.get_close_matches(role, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"data.columns.{role}: {config.task.name} reads {', '.join(known)}{hint}")
    for column in task.columns:
        if column.required and column.role not in config.data.columns:
            raise UserError(f"data.columns.{column.role}: missing; name the column, for example {column.role}: NAME")


def _rows(records: Iterator[Record], task: Task) -> Iterator[dict[str, Any]]:
    for record in records:
        try:
            row = task.parse(record)
        except BadRow as error:
            more = _more_like(error.kind, task, records)
            raise UserError(f"{error} (and {more} more rows with {error.kind})" if more else str(error)) from error
        yield row


def _more_like(kind: str, task: Task, records: Iterator[Record]) -> int:
    """How many of the remaining records have the same mistake, up to one that can't be read."""
    count = 0
    with contextlib.suppress(UserError):
        for record in records:
            try:
                task.parse(record)
            except UserError as error:
                count += isinstance(error, BadRow) and error.kind == kind
    return count
