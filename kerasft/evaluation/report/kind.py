"""What people see of a task: on a report's page, and in the terminal at the end of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

from kerasft.evaluation.report.console import scores_table

if TYPE_CHECKING:
    from kerasft.evaluation.report.blocks import Report, Section


@dataclass(frozen=True)
class Kind:
    """Each task has one, or one for each kind of answer; see `kind.py` in its folder.

    Attributes:
        name: for people, in words.
        scores: keys of a split's metrics, in the order in which they are shown.
        sections: of the report's page, in order; a builder answers None where the report has nothing for it.
        table: a split's metrics -> the terminal's table; None: `scores`, a row each.
        mistakes: what the report calls them, and their measure.
        class_scores: figures of each class that the page shows beside precision, recall and F1.
    """

    name: str
    scores: tuple[str, ...]
    sections: tuple[Callable[[Report], Section | None], ...]
    table: Callable[[Mapping[str, Any]], Table] | None = None
    mistakes: tuple[str, str] = ("Most confidently wrong", "score")
    class_scores: tuple[str, ...] = ()

    def console_table(self, metrics: Mapping[str, Any]) -> Table:
        """What the terminal prints of a split's metrics."""
        return scores_table(metrics, self.scores) if self.table is None else self.table(metrics)
