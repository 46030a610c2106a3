"""What happens to rows between reading them and learning labels: the contract of one such stage."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kerasft.config.schema import Config

if TYPE_CHECKING:  # tasks lie above: the contract is all that is known here; tables call stages
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task

Tables = Mapping[str, "Table"]
WEIGHT = "weight"  # of rows that stages weigh: a column of train, float32


@dataclass(frozen=True)
class Change:
    """One row that a stage took out or changed.

    Attributes:
        split: it was in.
        where: FILE:LINE of the row.
        why: the stage's name.
        like: FILE:LINE of the row that is the reason; None where the row itself is.
        what: became of it, such as `a -> b` of a label; None: it was taken out.
    """

    split: str
    where: str
    why: str
    like: str | None = None
    what: str | None = None


@dataclass(frozen=True)
class Staged:
    """Rows after some stages.

    Attributes:
        tables: by the names of their splits.
        changes: each row that was taken out or changed, for the record of a run.
        counts: stage -> what it was told to do and how many rows it found.
        remarks: a line for each count that a user should see.
    """

    tables: Tables
    changes: tuple[Change, ...] = ()
    counts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def then(self, after: Staged) -> Staged:
        """What a further stage gave for these tables, with the record of both."""
        return Staged(
            after.tables,
            self.changes + after.changes,
            {**self.counts, **after.counts},
            self.remarks + after.remarks,
        )

    def record(self) -> dict[str, Any] | None:
        """`cleaning.json`: what was counted, and each row that was taken out or changed; None: nothing was asked."""
        if not self.counts:
            return None
        return {"counts": dict(self.counts), "rows": [dataclasses.asdict(change) for change in self.changes]}


class Stage(abc.ABC):
    """One stage: a pure function of rows, config and seed, that runs without TensorFlow.

    A row is never written to: a stage selects rows, or makes new ones that keep the column `where` of the row that they
    came from. Rows of test are never touched, those of validation only where they are drawn from train.

    Attributes:
        name: of the stage, in the record and in messages.
        draws: whether rows are drawn by the seed and their places. What is not drawn is chosen by what the rows hold,
            whatever their order.
    """

    name: str
    draws = False

    @abc.abstractmethod
    def applies(self, config: Config) -> bool:
        """Whether the config asks for it."""

    def check(self, config: Config, task: Task) -> None:
        """Raises UserError for what this task's rows can't be asked, before any row is read."""

    @abc.abstractmethod
    def apply(self, tables: Tables, config: Config, task: Task) -> Staged:
        """The tables after this stage. Raises UserError.

        Args:
            tables: rows as the task parsed them, `train` among them.
            config: what is to be done, and the seed.
            task: says which columns of a row are texts and what its answer is; it has learnt nothing yet.
        """
