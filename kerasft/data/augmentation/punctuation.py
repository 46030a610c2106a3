"""Marks of punctuation between words: AEDA, Karimi et al. 2021, arXiv:2108.13230."""

from __future__ import annotations

import numpy as np

from kerasft.data.augmentation.base import Augmenter
from kerasft.data.augmentation.marked_text import Edit, MarkedText
from kerasft.data.augmentation.words import word_bounds
from kerasft.data.sources.scripts import unspaced

MARKS = ".;?:!,"
FULL_WIDTH = "。；？：！，"


class Punctuation(Augmenter):
    """From one mark up to a share of the words, each before a word that is drawn; never within a span.

    In scripts without spaces the marks are full-width ones.
    """

    name = "punctuation"

    def edits(self, text: MarkedText, random: np.random.Generator) -> list[Edit]:
        places = [start for start, _ in word_bounds(text.text) if _is_open(text, start)]
        if not places:
            return []
        most = max(1, int(self.section.words * len(places)))
        count = int(random.integers(1, most + 1))
        chosen = random.permutation(len(places))[:count]
        edits = []
        for index in sorted(chosen.tolist()):
            mark, place = int(random.integers(len(MARKS))), places[index]
            edits.append(Edit(place, place, FULL_WIDTH[mark] if unspaced(text.text[place]) else f"{MARKS[mark]} "))
        return edits


def _is_open(text: MarkedText, place: int) -> bool:
    """Whether a mark may stand before a word: behind a space or where there are none, and not within a span."""
    behind = place == 0 or text.text[place - 1].isspace() or unspaced(text.text[place])
    return behind and not text.touches(place, place)
