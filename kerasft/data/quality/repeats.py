"""Rows that repeat or contradict others of their split."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from kerasft.data.quality.base import Check, Finding, Inspected, SplitRows, clean_line
from kerasft.data.quality.folding import folded_with_symbols, row_keys


class Repeats(Check):
    """Copies, and the same texts with different answers, by the rules of `data.clean`."""

    kinds = {"duplicates": "warning", "contradictions": "warning"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        for rows in data:
            copies = earlier(list(zip(rows.keys, rows.answers or rows.keys)))
            if copies:
                what = "say what an earlier row says, with the same answer"
                yield self.finding(
                    "duplicates", rows, copies, what, clean_line(rows, "duplicates", "drop"), as_in(rows, copies)
                )
            answers = rows.answers
            if answers is not None and data.task.one_answer:
                yield from self._contradictions(rows, answers)

    def _contradictions(self, rows: SplitRows, answers: Sequence[Hashable]) -> Iterator[Finding]:
        keys = row_keys(rows.table, rows.task.source_texts, folded_with_symbols)
        against = contradicted(keys, answers)
        if against:
            what = "have the texts of another row and a different answer"
            fix = clean_line(rows, "conflicts", "majority")
            yield self.finding("contradictions", rows, against, what, fix, as_in(rows, against))


def earlier(keys: Sequence[Hashable]) -> dict[int, int]:
    """Row -> the first row with the same key, of each that is not the first."""
    first: dict[Hashable, int] = {}
    first_row = {row: first.setdefault(key, row) for row, key in enumerate(keys)}
    return {row: before for row, before in first_row.items() if row != before}


def contradicted(keys: Sequence[Hashable], answers: Sequence[Hashable]) -> dict[int, int]:
    """Row -> a row with the same key and another answer, of each row for which there is one."""
    groups: dict[Hashable, dict[Hashable, int]] = {}
    for row, (key, answer) in enumerate(zip(keys, answers)):
        groups.setdefault(key, {}).setdefault(answer, row)
    conflicts = {}
    for row, (key, answer) in enumerate(zip(keys, answers)):
        others = groups[key]
        if len(others) > 1:
            conflicts[row] = next(each for other, each in others.items() if other != answer)
    return conflicts


def as_in(rows: SplitRows, others: dict[int, int], of: SplitRows | None = None) -> dict[int, str]:
    """Row -> its own answer and the place and answer of the row that it is like."""
    of = of or rows
    return {
        row: (
            f"{rows.answer(row)} · like {of.wheres[other]}{': ' if of.answer(other) else ''}{of.answer(other)}"
        ).lstrip(" ·")
        for row, other in list(others.items())[:200]
    }
