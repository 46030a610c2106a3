"""All checks over the data of a config."""

from __future__ import annotations

from collections.abc import Sequence

from kerasft.data.quality.base import LEVELS, Check, Finding, Inspected
from kerasft.data.quality.registry import CHECKS
from kerasft.errors import UserError


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
