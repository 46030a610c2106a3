"""All checks over the data of a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kerasft.config.data import LEAVE_ONE_OUT
from kerasft.config.schema import Config
from kerasft.data.quality.base import LEVELS, Check, Finding, Inspected
from kerasft.data.quality.registry import CHECKS
from kerasft.errors import UserError

if TYPE_CHECKING:  # tasks lie above: the contract is all that is known here; tables call this folder
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task

MOST_IN_PASSING = 10_000_000  # characters, which take about ten seconds


def checks_of(own: Sequence[type[Check]]) -> list[Check]:
    """A check of each kind, those of a task behind those of all tasks."""
    return [check() for check in (*CHECKS, *own)]


def findings(data: Inspected, checks: Sequence[Check]) -> list[Finding]:
    """What the checks find, the worst first, and what stops the task from learning labels, if something does."""
    results = [finding for check in checks for finding in check.find(data)]
    try:
        data.task.fit({name: rows.table for name, rows in data.splits.items()})
    except UserError as error:
        what = f"a training would stop here: {error}"
        results.append(Finding("refused", "train", len(data.splits["train"]), "error", what))
    return sorted(results, key=lambda finding: -LEVELS.index(finding.level))  # what matters most comes first


def at_or_above(results: Sequence[Finding], level: str) -> list[Finding]:
    """The findings of a level or one above it; `never` is above all."""
    least = LEVELS.index(level) if level in LEVELS else len(LEVELS)
    return [finding for finding in results if LEVELS.index(finding.level) >= least]


def inspect_tables(config: Config, task: Task, tables: Mapping[str, Table]) -> list[Finding] | None:
    """What an inspection finds in the rows of a run, for its report; None where they have more than MOST_IN_PASSING
    characters.

    Args:
        config: of the run.
        task: a new one, which learns labels here.
        tables: the splits.
    """
    if config.data.validation == LEAVE_ONE_OUT:  # the rows of train, which are no leak
        tables = {split: table for split, table in tables.items() if split != "validation"}
    if config.continual is not None and "train" in tables:  # a kept row that is learnt ten times is no duplicate
        train = tables["train"]
        first = {place: row for row, place in reversed(list(enumerate(train.column("where"))))}
        tables = {**tables, "train": train.select(sorted(first.values()))}
    texts = (column for table in tables.values() for name in task.texts for column in table.batches(4096, [name]))
    size = 0
    for batch in texts:
        size += sum(len(text) for values in batch.values() for text in values)
        if size > MOST_IN_PASSING:
            return None
    return findings(Inspected(config, task, tables), checks_of(task.checks))
