"""Rows of one table whose texts stand in another, and whether their answers agree."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kerasft.data.quality.folding import row_keys

if TYPE_CHECKING:  # tasks lie above: the contract is all that is known here
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task

RowMatches = Mapping[int, Sequence[int]]  # row of one table -> rows of the other


class Overlap(NamedTuple):
    """What a report says of a test set and the rows that were learnt from.

    Attributes:
        shared: rows of test whose texts stand in train.
        other_answer: of them, those with another answer than all such rows of train.
    """

    shared: int
    other_answer: int


def overlap(task: Task, test: Table, train: Table) -> Overlap:
    """How much of test stands in train; what `kerasft inspect` calls leaks."""
    matches = same_rows(text_keys(task, test), text_keys(task, train))
    rows, learnt = list(matches), sorted({row for rows in matches.values() for row in rows})
    answers = task.row_answers(test.select(rows)), task.row_answers(train.select(learnt))
    test_answers, train_answers = (dict(zip(numbers, each or ())) for numbers, each in zip((rows, learnt), answers))
    return Overlap(len(matches), other_answers(matches, test_answers, train_answers, whole=True) if test_answers else 0)


def text_keys(task: Task, table: Table) -> list[bytes]:
    """16 bytes for each row that are equal where its texts are the same to a reader."""
    return row_keys(table, task.source_texts, plain=task.without_marks)


def same_rows(keys: Sequence[Hashable], learnt: Sequence[Hashable]) -> dict[int, list[int]]:
    """Row -> the rows of the other table with its key, of each that has some."""
    there: dict[Hashable, list[int]] = {}
    for row, key in enumerate(learnt):
        there.setdefault(key, []).append(row)
    return {row: there[key] for row, key in enumerate(keys) if key in there}


def other_answers(
    matches: RowMatches,
    test_answers: Mapping[int, Hashable] | Sequence[Hashable],
    train_answers: Mapping[int, Hashable] | Sequence[Hashable],
    whole: bool,
) -> int:
    """How many rows have another answer than those that they are like.

    Args:
        matches: row -> those.
        test_answers: answers by row.
        train_answers: answers of the others.
        whole: texts are the same, and one row with the same answer is enough; else they are near, and one with another
            answer is.
    """
    decide = all if whole else any
    return sum(decide(test_answers[row] != train_answers[other] for other in others) for row, others in matches.items())
