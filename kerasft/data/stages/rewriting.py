"""What the keys of `data.clean` that change texts have in common: spans move with their texts."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kerasft.config.schema import Config
from kerasft.data.augmentation.marked_text import Edit, MarkedText
from kerasft.data.stages.base import Change, Staged, Tables
from kerasft.data.stages.cleaning import Cleaning, RowReasons

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task


class Rewriting(Cleaning):
    """A key whose value may also be that texts are written in another form.

    Attributes:
        rewrites: the value of the key that says so.
    """

    rewrites: str

    @abc.abstractmethod
    def edits(self, text: str) -> list[Edit]:
        """What makes another form of a text; [] where it stays."""

    @abc.abstractmethod
    def tell(self, text: str, edits: Sequence[Edit]) -> str:
        """What edits do to a text, for the record."""

    def asked(self, config: Config) -> bool:
        """Whether texts are to be changed."""
        return self.applies(config) and self.action(config) == self.rewrites

    def find(self, tables: Tables, config: Config, task: Task) -> RowReasons:
        return {
            number: None
            for number, texts in enumerate(_all_texts(tables["train"], task))
            if any(self.edits(marked.text) for marked in texts.values())
        }

    def rewritten(self, row: Mapping[str, Any], task: Task) -> tuple[dict[str, Any], str] | None:
        """A row with its texts in the other form, and what was done to them.

        Returns:
            None where an answer would be lost: an entity that is nothing but damage, two that one mask would be of.
        """
        texts, told = {}, []
        for name, marked in _texts(row, task).items():
            edits = self.edits(marked.text)
            after = marked.rewritten(edits)
            if after is None:
                return None
            texts[name] = after
            told += [self.tell(marked.text, edits)] if edits else []
        if not task.places_in_texts:
            return {**row, **{name: marked.text for name, marked in texts.items()}}, "; ".join(told)
        return task.with_texts(row, texts), "; ".join(told)

    def changed(self, rows: RowReasons, tables: Tables, config: Config, task: Task, summary: str) -> Staged | None:
        """Rows of train in the other form; those that have none are taken out."""
        if not self.asked(config):
            return None
        train, after, changes, lost = tables["train"], {}, [], []
        for number, row in zip(rows, train.rows(list(rows))):
            form = self.rewritten(row, task)
            if form is None:
                lost.append(number)
            else:
                after[number] = form[0]
            changes.append(Change("train", row["where"], self.name, what=None if form is None else form[1]))
        table, remark = train.replace(after), f"data.clean.{self.name}: {summary}; they are changed"
        counts: dict[str, Any] = {"action": self.rewrites, "rows": len(rows)}
        if lost:
            self.check_left(len(lost), len(train))
            gone = set(lost)
            table = table.select([number for number in range(len(train)) if number not in gone])
            remark += f", but for {len(lost):,} that are dropped, because their answers would be lost"
            counts["dropped"] = len(lost)
        return Staged({**tables, "train": table}, tuple(changes), {self.name: counts}, (remark,))


def _texts(row: Mapping[str, Any], task: Task) -> dict[str, MarkedText]:
    """Each text of a row; with its spans where answers are made of them."""
    return task.marked_texts(row) if task.places_in_texts else {name: MarkedText(row[name]) for name in task.texts}


def _all_texts(table: Table, task: Task) -> Iterator[dict[str, MarkedText]]:
    names = table.schema.names if task.places_in_texts else list(task.texts)
    for batch in table.batches(4096, names):
        for values in zip(*batch.values()):
            yield _texts(dict(zip(names, values)), task)
