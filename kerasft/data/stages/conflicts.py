"""`data.clean.conflicts`: the same texts with different answers, of which at most one can be right."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from kerasft.config.schema import Config
from kerasft.data.quality.folding import folded_with_symbols, row_keys
from kerasft.data.stages.base import Tables
from kerasft.data.stages.cleaning import Cleaning, RowReasons
from kerasft.errors import UserError

if TYPE_CHECKING:
    from kerasft.tasks.base import Task


class Conflicts(Cleaning):
    """Rows of train that contradict each other."""

    name = "conflicts"
    what = "have the texts of another row and a different answer"

    def check(self, config: Config, task: Task) -> None:
        action = self.action(config)
        if not task.one_answer and action != "keep":
            raise UserError(
                f"data.clean.conflicts: {action}, but rows of {config.task.name} don't contradict each other: a text "
                "may have several right answers; leave the key out"
            )

    def find(self, tables: Tables, config: Config, task: Task) -> RowReasons:
        train = tables["train"]
        answers = task.row_answers(train)
        if answers is None or not task.one_answer:
            return {}
        groups: dict[bytes, list[int]] = {}
        for row, key in enumerate(row_keys(train, task.source_texts, folded_with_symbols)):
            groups.setdefault(key, []).append(row)
        wheres, conflicts = train.column("where"), {}
        for rows in groups.values():
            labels = [answers[row] for row in rows]
            if len(set(labels)) < 2:
                continue
            best = most(labels) if self.action(config) == "majority" else None
            for row, answer in zip(rows, labels):
                if best is None or answer != best[0]:
                    other = next(each for each in rows if answers[each] != answer)
                    conflicts[row] = wheres[other]
        return dict(sorted(conflicts.items()))


def most(answers: list[Any]) -> tuple[Any] | None:
    """The answer that more rows give than any other, by itself in a tuple; None where several are level."""
    (first, count), (_, second) = Counter(answers).most_common(2)
    return (first,) if count > second else None
