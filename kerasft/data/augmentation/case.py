"""A text in another case."""

from __future__ import annotations

import re

import numpy as np

from kerasft.data.augmentation.base import Augmenter
from kerasft.data.augmentation.marked_text import Edit, MarkedText
from kerasft.data.augmentation.words import word_bounds

_RUN = re.compile(r"\S+")


def _with_capital(word: str) -> str:
    return word[:1].upper() + word[1:]


FORMS = {"lower": str.lower, "upper": str.upper, "title": _with_capital}


class Case(Augmenter):
    """All of a text in lower or upper case, or each word with a capital; spans with it, or they would stand out.

    What `augment.protect` names stays.
    """

    name = "case"
    within_spans = True

    def edits(self, text: MarkedText, random: np.random.Generator) -> list[Edit]:
        form = FORMS[self.section.forms[int(random.integers(len(self.section.forms)))]]
        stays = [(a, b) for a, b in word_bounds(text.text) if text.text[a:b].casefold() in self.protected.always]
        borders = {place for span in text.spans for place in span[:2]} | {place for bounds in stays for place in bounds}
        edits = []
        for run in _RUN.finditer(text.text):
            inside = sorted(place for place in borders if run.start() < place < run.end())
            for start, end in zip([run.start(), *inside], [*inside, run.end()]):
                opens = start == run.start() or form is not _with_capital
                if opens and not any(a <= start < b for a, b in stays):
                    edits.append(Edit(start, end, form(text.text[start:end])))
        return [edit for edit in edits if edit.new != text.text[edit.start : edit.end]]
