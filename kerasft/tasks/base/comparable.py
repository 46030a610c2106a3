"""Which rows of a task say the same, and which contradict each other: what cleaning and inspection ask."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.data.quality.folding import folded

if TYPE_CHECKING:
    from kerasft.data.quality.base import Check
    from kerasft.data.tables.table import Table


class Comparable:
    """The part of a task's contract that compares rows.

    Attributes:
        config: of the run; its section `task` says how texts are read.
        inputs: names of the texts that an answer needs.
        one_answer: whether two answers to the same texts can't both be right.
        may_be_empty: names of texts that a row can do without.
        cuts_texts: whether what is longer than the model reads is left out; others read it in parts.
        places_in_texts: whether answers or questions are about places in a text, which must not change then.
        checks: of an inspection, for what only this task's rows can have.
    """

    config: Config
    inputs: tuple[str, ...]
    one_answer = True
    may_be_empty: tuple[str, ...] = ()
    cuts_texts = True
    places_in_texts = False
    checks: tuple[type[Check], ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Names of the texts of a row of `schema`: those of `inputs`, unless training reads more than an answer."""
        return self.inputs

    @property
    def limits(self) -> dict[str, tuple[str, int]]:
        """Name of each of the `sides` of a prepared split -> the key that limits its texts, and to how many tokens."""
        return {"texts": ("model.max_length", self.config.model.max_length)}

    @property
    def source_texts(self) -> tuple[str, ...]:
        """Names of the texts of a row that its answer belongs to."""
        return self.texts

    @property
    def fixed_labels(self) -> tuple[str, ...]:
        """The labels that the config names, which train may lack."""
        return ()

    def without_marks(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        """Texts of `source_texts` as a reader sees them, without what marks a part of them."""
        return texts

    def cut_at(self, name: str) -> tuple[str, int] | None:
        """The key that limits the tokens of a text, and to how many; None: it is not cut."""
        return self.limits["texts"] if self.cuts_texts else None

    def row_answers(self, table: Table) -> Sequence[Hashable] | None:
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
        words = ([folded(text[start:end]) for start, end in zip(*bounds)] for text, *bounds in zip(*columns))
        return [tuple(zip(entities, kinds)) for entities, kinds in zip(words, labels)]
