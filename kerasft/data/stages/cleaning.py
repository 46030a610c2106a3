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
        rewrites: values of the key that change texts.
    """

    what: str
    rewrites: tuple[str, ...] = ()

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
        if action in self.rewrites:
            return self._rewritten(tables, list(rows), task, counts, summary)
        if len(rows) == len(train):
            raise UserError(f"data.clean.{self.name}: {action} leaves no row of train; set it to keep")
        rest = np.setdiff1d(np.arange(len(train)), np.fromiter(rows, np.int64))
        changes = tuple(Change("train", *change) for change in zip(wheres, [self.name] * len(rows), rows.values()))
        remark = f"data.clean.{self.name}: {summary}; they are dropped"
        return Staged({**tables, "train": train.select(rest)}, changes, counts, (remark,))

    def _rewritten(self, tables: Tables, rows: list[int], task: Task, counts: dict, summary: str) -> Staged:
        """The texts of some rows of train in another form."""
        train, after, changes = tables["train"], {}, []
        for number, row in zip(rows, train.rows(rows)):
            texts = {name: self.rewrite(row[name]) for name in task.texts}
            after[number] = {**row, **{name: text for name, (text, _) in texts.items()}}
            what = "; ".join(what for _, what in texts.values() if what)
            changes.append(Change("train", row["where"], self.name, what=what))
        remark = f"data.clean.{self.name}: {summary}; they are changed"
        return Staged({**tables, "train": train.replace(after)}, tuple(changes), counts, (remark,))

    def rewrite(self, text: str) -> tuple[str, str]:
        """A text in its other form, and what was done to it; "" where nothing was."""
        raise NotImplementedError(f"data.clean.{self.name} changes no texts")

    def check_rewriting(self, config: Config, task: Task) -> None:
        """Raises UserError where texts would be changed that places are counted in."""
        action = self.action(config)
        if action in self.rewrites and task.places_in_texts:
            raise UserError(
                f"data.clean.{self.name}: {action} changes texts, in which {config.task.name} has places; "
                "set it to drop"
            )

    def _others(self) -> str:
        form = CleanConfig.model_json_schema()["properties"][self.name]
        actions = (form["anyOf"][0] if "anyOf" in form else form)["enum"]
        return f"be {' or '.join(action for action in actions if action not in ('keep', 'fail'))} instead of fail"


def first_of(wheres: list[str]) -> str:
    """The first few of some places, and how many more there are."""
    more = f" and {len(wheres) - SHOWN:,} more" if len(wheres) > SHOWN else ""
    return ", ".join(wheres[:SHOWN]) + more
