"""The train, validation and test tables of a config: read, parsed, and taken through the stages of `data/stages`."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kerasft.config.data import LEAVE_ONE_OUT, Sources
from kerasft.config.prompting import answers_untrained
from kerasft.config.schema import Config
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.sources import Record, read_records
from kerasft.data.stages.base import Staged
from kerasft.data.stages.held_out import HeldOut
from kerasft.data.stages.registry import STAGES
from kerasft.data.tables.table import Table
from kerasft.errors import BadRow, UserError

Remark = Callable[[str], None]

if TYPE_CHECKING:  # data lies below tasks: the contract is all that is known here
    from kerasft.tasks.base import Task


def load_splits(config: Config, task: Task, remark: Remark | None = None) -> dict[str, Table]:
    """Reads every split that the config names, takes the rows through all stages, and lets the task learn from them.

    Args:
        config: names the sources and how they are read.
        task: parses records.
        remark: gets a line for each guess, such as a file's encoding; None: to stderr.

    Returns:
        `train`, `validation` and, where the config names one, `test`.

    Raises:
        UserError: for a row, a column or a split that can't be used; nothing has been written then.
    """
    tables = stage_splits(config, task, remark).tables
    task.fit(tables)
    return dict(tables)


def stage_splits(config: Config, task: Task, remark: Remark | None = None, shares: bool = True) -> Staged:
    """What `load_splits` gives, with the record of what the stages did; the task has learnt nothing yet.

    Args:
        config, task, remark: those of `load_splits`.
        shares: whether validation and test are drawn from train where the config says so; else they stay in it.
    """
    check_columns(config, task)
    check_stages(config, task)
    read = {split: read_split(config, task, source, split, remark) for split, source in sources_of(config).items()}
    return apply_stages(read, config, task, remark, shares)


def sources_of(config: Config) -> dict[str, Sources]:
    """The splits that have sources of their own, and those."""
    splits = ("test",) if answers_untrained(config) else ("train", "test", "validation")
    settings = {split: getattr(config.data, split) for split in splits}
    drawn = (None, LEAVE_ONE_OUT)
    return {name: source for name, source in settings.items() if source not in drawn and not isinstance(source, float)}


def check_own_split(config: Config, split: str) -> None:
    """Raises UserError where a split's rows are those of train, which a trained model has seen."""
    if split == "validation" and config.data.validation == LEAVE_ONE_OUT:
        raise UserError(
            f"--split validation: {LEAVE_ONE_OUT} answered each row by a head that was fitted without it, and a "
            "trained model knows them all; see validation in metrics.json, or give --data"
        )


def check_measured_rows(config: Config, by: str) -> None:
    """Raises UserError where `by`, a key or an option that measures trained models, would do so on rows of train."""
    if config.data.test is None and config.data.validation == LEAVE_ONE_OUT:
        raise UserError(
            f"{by}: data.validation: {LEAVE_ONE_OUT} leaves no rows that the model has not seen; name data.test"
        )


def check_stages(config: Config, task: Task) -> None:
    """Raises UserError where a stage is asked for that this task's rows have no use for."""
    for stage in STAGES:
        if stage.applies(config):
            stage.check(config, task)


def apply_stages(
    read: Mapping[str, Table], config: Config, task: Task, remark: Remark | None = None, shares: bool = True
) -> Staged:
    """Takes rows as they were read through all stages that the config asks for. Raises UserError."""
    staged = Staged(read)
    for stage in STAGES if "train" in read else ():
        if stage.applies(config) and (shares or not isinstance(stage, HeldOut)):
            staged = staged.then(stage.apply(staged.tables, config, task))
    for line in staged.remarks:
        Reading.of(config.data, remark).remark(line)
    if config.data.validation == LEAVE_ONE_OUT:
        staged = staged.then(Staged({**staged.tables, "validation": staged.tables["train"]}))
    tables = {split: staged.tables[split] for split in ("train", "validation", "test") if split in staged.tables}
    return dataclasses.replace(staged, tables=tables)


def read_split(config: Config, task: Task, sources: Sources, split: str, remark: Remark | None = None) -> Table:
    """One source or several -> the rows that the task parses them to. Arguments and errors as `load_splits` has."""
    records = read_records(sources, config.data.format, Reading.of(config.data, remark))
    table = Table.from_rows(_rows(records, task), task.schema())
    if len(table) == 0:
        raise UserError(f"data.{split}: no rows in {sources}; it needs at least one")
    return table


def check_columns(config: Config, task: Task) -> None:
    """Raises UserError where data.columns lacks a role of the task, or names one it does not have."""
    roles = [column.role for column in task.columns]
    for role in config.data.columns:
        if role not in roles:
            near = difflib.get_close_matches(role, roles, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"data.columns.{role}: {config.task.name} reads {', '.join(roles)}{hint}")
    for column in task.columns:
        if column.required and column.role not in config.data.columns:
            raise UserError(f"data.columns.{column.role}: missing; name the column, for example {column.role}: NAME")


def check_unlabelled(config: Config, task: Task) -> None:
    """Raises UserError where texts without labels can't be read, by the first row of each file; after `task.fit`."""
    training, reading = config.training, Reading.of(config.data, lambda remark: None)
    for section in (training.self_training, training.objective):
        named = getattr(section, "unlabelled", None)
        for source in [named] if isinstance(named, str) else named or ():
            for record in itertools.islice(read_records(source, config.data.format, reading), 1):
                task.unlabelled(record)


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
