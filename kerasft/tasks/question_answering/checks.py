"""What an inspection looks for in answers: those that begin or end inside a word."""

from __future__ import annotations

from collections.abc import Iterator

from kerasft.data.quality.base import Check, Finding, Inspected
from kerasft.data.quality.borders import inside_word


class AnswerBorders(Check):
    """Answers of which a border is inside a word, so that tokens may not give them."""

    kinds = {"answers_off_word_borders": "info"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        for rows in data:
            notes = {}
            for row, (context, starts, ends) in enumerate(zip(*map(rows.column, ("context", "starts", "ends")))):
                cut = [context[start:end] for start, end in zip(starts, ends) if inside_word(context, start, end)]
                if cut:
                    notes[row] = ", ".join(map(repr, cut[:3]))
            if notes:
                what = "have an answer that begins or ends inside a word"
                yield self.finding("answers_off_word_borders", rows, notes, what, "", notes)
