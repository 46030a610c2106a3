"""Which rows of a task say the same, and which contradict each other: what cleaning and inspection ask."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from kerasft.data.quality.folding import folded

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table


class Comparable:
    """The part of a task's contract that compares rows.

    Attributes:
        inputs: names of the texts that an answer needs.
        one_answer: whether two answers to the same texts can't both be right.
        may_be_empty: names of texts that a row can do without.
    """

    inputs: tuple[str, ...]
    one_answer = True
    may_be_empty: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Names of the texts of a row of `schema`: those of `inputs`, unless training reads more than an answer."""
        return self.inputs

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the texts of a row that its answer belongs to."""
        return self.texts

    def row_answers(self, table: Table) -> list[Hashable] | None:
        """(rows,) the answer of each row in a form in which equal ones are equal; None: rows have none but texts.

        Spans are compared by their words and types, not by their places, which move with punctuation.
        """
        names = table.schema.names
        if "label" not in names:
            return None
        labels = [tuple(label) if isinstance(label, list) else label for label in table.column("label")]
        if "starts" not in names:
            return labels
        columns = (table.column(name) for name in ("text", "starts", "ends"))
        words = ([folded(text[start:end]) for start, end in zip(*places)] for text, *places in zip(*columns))
        return [tuple(zip(said, kinds)) for said, kinds in zip(words, labels)]
