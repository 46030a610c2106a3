"""What the keys of `data.clean` have in common: rows of train are found, and then kept, dropped or refused."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import numpy as np

from kerasft.config.clean import CleanConfig
from kerasft.config.schema import Config
from kerasft.data.stages.base import Change, Stage, Staged, Tables
from kerasft.errors import UserError

if TYPE_CHECKING:
    from kerasft.tasks.base import Task

SHOWN = 3  # places in a message
RowReasons = dict[int, "str | None"]  # row of train -> FILE:LINE of the row that is the reason, in the order of rows


class Cleaning(Stage):
    """A key of `data.clean`; a subclass says which rows of train it is about.

    Attributes:
        name: the key.
        what: these rows, in words that follow their number.
    """

    what: str

    def applies(self, config: Config) -> bool:
        return config.data.clean is not None and self.action(config) is not None

    def action(self, config: Config) -> str:
        """The value of the key, where the stage applies."""
        return getattr(config.data.clean, self.name)

    @abc.abstractmethod
    def find(self, tables: Tables, config: Config, task: Task) -> RowReasons:
        """The rows of train that are to go, by what rows hold and not by their order."""

    def apply(self, tables: Tables, config: Config, task: Task) -> Staged:
        action, train = self.action(config), tables["train"]
        rows = self.find(tables, config, task)
        counts = {self.name: {"action": action, "rows": len(rows)}}
        if not rows:
            return Staged(tables, counts=counts)
        wheres = [row["where"] for row in train.rows(list(rows))]
        summary = f"{len(rows):,} of {len(train):,} rows of train {self.what}"
        if action == "fail":
            raise UserError(
                f"data.clean.{self.name}: {summary}: {first_of(wheres)}; fix them, or let the key {self._others()}"
            )
        if action == "keep":
            return Staged(tables, counts=counts, remarks=(f"data.clean.{self.name}: {summary}; they stay",))
        if (staged := self.changed(rows, tables, config, task, summary)) is not None:
            return staged
        self.check_left(len(rows), len(train))
        rest = np.setdiff1d(np.arange(len(train)), np.fromiter(rows, np.int64))
        changes = tuple(Change("train", *change) for change in zip(wheres, [self.name] * len(rows), rows.values()))
        remark = f"data.clean.{self.name}: {summary}; they are dropped"
        return Staged({**tables, "train": train.select(rest)}, changes, counts, (remark,))

    def changed(self, rows: RowReasons, tables: Tables, config: Config, task: Task, summary: str) -> Staged | None:
        """The rows in another form, where the config asks for that and not for their removal."""
        return None

    def check_left(self, gone: int, rows: int) -> None:
        """Raises UserError where no row of train would be left."""
        if gone == rows:
            raise UserError(f"data.clean.{self.name}: no row of train would be left; set it to keep")

    def _others(self) -> str:
        form = CleanConfig.model_json_schema()["properties"][self.name]
        actions = (form["anyOf"][0] if "anyOf" in form else form)["enum"]
        return f"be {' or '.join(action for action in actions if action not in ('keep', 'fail'))} instead of fail"


def first_of(wheres: list[str]) -> str:
    """The first few of some places, and how many more there are."""
    more = f" and {len(wheres) - SHOWN:,} more" if len(wheres) > SHOWN else ""
    return ", ".join(wheres[:SHOWN]) + more
