"""Rows that the task can't read, by what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator

from kerasft.data.quality.base import MOST_ROWS, Check, Example, Finding, Inspected


class BrokenRows(Check):
    """Rows that would stop a training; one finding for each kind of mistake."""

    kinds = {"broken_rows": "error"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        groups: dict[tuple[str, str], list[Example]] = {}
        for row in data.broken:
            groups.setdefault((row.split, row.kind), []).append(Example(row.where, row.message))
        for (split, kind), rows in groups.items():
            what = f"{len(rows):,} {'row has' if len(rows) == 1 else 'rows have'} {kind}: {rows[0].text}"
            examples = tuple(rows[:MOST_ROWS])
            yield Finding("broken_rows", split, len(rows), "error", what, "fix these rows", examples, {"mistake": kind})


class Assumed(Check):
    """What was guessed while files were read: encodings, separators, forms of JSON, columns that are left out."""

    kinds = {"assumed": "info"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        for split, lines in data.assumed.items():
            for line in lines:
                yield Finding("assumed", split, 1, "info", line)
