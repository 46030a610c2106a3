"""Words are left out: random deletion of EDA, Wei and Zou 2019, arXiv:1901.11196."""

from __future__ import annotations

import unicodedata

import numpy as np

from kerasft.data.augmentation.base import Augmenter, drawn
from kerasft.data.augmentation.marked_text import Edit, MarkedText
from kerasft.data.augmentation.words import free_words, word_bounds


class Delete(Augmenter):
    """Leaves words out, each with one space beside it; negations, numbers, names of labels and spans stay.

    One word of a text always stays.
    """

    name = "delete"

    def edits(self, text: MarkedText, random: np.random.Generator) -> list[Edit]:
        words = free_words(text, self.protected.all)
        chosen = drawn(random, words, self.section.words, 1)
        if len(chosen) == len(word_bounds(text.text)):
            chosen = chosen[1:]
        edits: list[Edit] = []
        for start, end in chosen:
            if _is_free_space(text, end):
                end += 1
            elif start and _is_free_space(text, start - 1):
                if not edits or edits[-1].end < start:  # otherwise the word before took that space with it
                    start -= 1
            edits.append(Edit(start, end, ""))
        return edits


def _is_free_space(text: MarkedText, at: int) -> bool:
    """Whether a space that no span has is at a place; one that bears an accent is none."""
    here, behind = text.text[at : at + 1], text.text[at + 1 : at + 2]
    return here == " " and not text.touches(at, at + 1) and not (behind and unicodedata.category(behind)[0] == "M")
