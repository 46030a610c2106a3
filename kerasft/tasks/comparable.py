"""Which rows of a task say the same, and which contradict each other: what cleaning and inspection ask."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table


class Comparable:
    """The part of a task's contract that compares rows.

    Attributes:
        texts: names of all texts of a row.
        one_answer: whether two answers to the same texts can't both be right.
        may_be_empty: names of texts that a row can do without.
    """

    texts: tuple[str, ...]
    one_answer = True
    may_be_empty: tuple[str, ...] = ()

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the texts of a row that its answer belongs to."""
        return self.texts

    def row_answers(self, table: Table) -> list[Hashable] | None:
        """(rows,) the answer of each row in a form in which equal ones are equal; None: rows have none but texts."""
        return table.column("label") if "label" in table.schema.names else None
