"""The contract of a method: what it changes in the run of a stage, and what it leaves for the next one."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kerasft.config.schema import Config
from kerasft.config.section import Section
from kerasft.continual.memory.ridge import row_digest
from kerasft.data.stages.base import WEIGHT
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.runs import Run
from kerasft.tasks.base import Task

if TYPE_CHECKING:
    from kerasft.assembly import Start
    from kerasft.training.actions import Measured
    from kerasft.training.objectives.base import MakeObjective

SectionT = TypeVar("SectionT", bound=Section)
MEMORY = "continual"  # folder of a run with what its method left for the next stage
ROWS = "rows.json"  # in it: digests of the rows that the stage learnt


@dataclass(frozen=True)
class Situation:
    """What a method knows of its stage before the run begins.

    Attributes:
        config: of the stage.
        task: of the stage; it parses rows, and has learnt nothing yet.
        labels: of the model after the stage, those of before first and in their order.
        parent: the run that the stage goes on from; None: there is none.
        train: the rows that are new in this stage.
        parent_train: the rows that the parent learnt, read again by its own config, for a parent that was trained
            without this method; None: they are not there.
        other: a run whose memory is taken in, instead of rows that are learnt; `train` has the rows that it learnt.
        before_other: the run that `other` comes from; None: there is none.
    """

    config: Config
    task: Task
    labels: Sequence[str]
    parent: Run | None
    train: Table
    parent_train: Table | None = None
    other: Run | None = None
    before_other: Run | None = None

    @property
    def old_labels(self) -> list[str]:
        """Of the parent's model; none where there is no parent, or its task has no labels."""
        return list(self.parent.load_state().get("labels") or ()) if self.parent else []

    def memory(self, file: str) -> Path | None:
        """A file that the parent's method left; None where there is none."""
        path = self.parent.folder / MEMORY / file if self.parent else None
        return path if path is not None and path.is_file() else None

    def digests(self, table: Table) -> list[str]:
        """By which each row of a table is known again."""
        return row_digests(self.task, table)


def row_digests(task: Task, table: Table) -> list[str]:
    """By which each row of a table is known again: of all that it holds but its place."""
    names = [name for name in table.schema.names if name not in ("where", WEIGHT)]
    columns = [table.column(name) for name in names]
    return [row_digest([str(value) for value in row]) for row in zip(*columns)]


class Method(abc.ABC, Generic[SectionT]):
    """One method in one stage.

    A method is made before TensorFlow is loaded, so that a mistake is told at once; what needs TensorFlow imports it
    where it is used.

    Args:
        section: of the config, `continual`, the method's own.
        situation: of the stage.

    Attributes:
        goes_on: whether the stage starts from its parent's weights.
        forgets: whether the stage's rows are forgotten instead of learnt.
        refused: keys of a config that it can't go with -> why, with the fix. null, false and 0 are always fine.
    """

    goes_on = True
    forgets = False
    refused: Mapping[str, str] = {}

    def __init__(self, section: SectionT, situation: Situation):
        self.section, self.situation = section, situation

    @classmethod
    def check(cls, config: Config) -> None:
        """Raises UserError for a key of a config that the method can't go with, before any data is read."""
        for path, reason in cls.refused.items():
            value: Any = config
            for part in path.split("."):
                value = getattr(value, part)
            if value not in (None, False, 0):
                name = config.continual and config.continual.method
                raise UserError(f"{path}: {getattr(value, 'name', value)} does not go with method {name}: {reason}")

    def changes(self) -> dict[str, Any]:
        """Dotted keys of the stage's config that the method sets."""
        return {}

    def train(self) -> Table:
        """The rows that the stage learns from."""
        return self.situation.train

    def start(self) -> Start | None:
        """What is done to the model before it trains: by default the head grows from the parent's."""
        if self.situation.parent is None or not self.goes_on:
            return None
        from kerasft.training.starts import grown_from

        return grown_from(self.situation.parent.folder / "model") if self.situation.old_labels else None

    def objective(self) -> MakeObjective | None:
        """What is minimised; None: what the config says."""
        return None

    def keep(self, measured: Measured, folder: Path) -> None:
        """Writes what the next stage needs into a folder that exists, once the stage's model is measured."""
