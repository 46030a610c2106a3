"""Pairs of texts whose sides are the same."""

from __future__ import annotations

from collections.abc import Iterator

from kerasft.data.quality.base import Check, Finding, Inspected
from kerasft.data.quality.folding import folded

PAIR = ("text", "text_pair")


class IdenticalSides(Check):
    """Rows with the same text on both sides of a pair."""

    kinds = {"identical_sides": "warning"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        if set(PAIR) <= set(data.task.texts):
            for rows in data:
                sides = zip(*map(rows.column, PAIR))
                matches = [row for row, (one, other) in enumerate(sides) if folded(one) == folded(other)]
                if matches:
                    what = "have the same text on both sides of the pair"
                    yield self.finding("identical_sides", rows, matches, what, "remove them, if it is not meant")
