"""Two words change places: random swap of EDA, Wei and Zou 2019, arXiv:1901.11196."""

from __future__ import annotations

import numpy as np

from kerasft.data.augmentation.base import Augmenter, drawn
from kerasft.data.augmentation.marked_text import Edit, MarkedText
from kerasft.data.augmentation.words import free_words
from kerasft.data.sources.scripts import unspaced


class Swap(Augmenter):
    """Pairs of words that are drawn change places; negations, numbers and spans stay where they are.

    In scripts without spaces a character changes places with the next.
    """

    name = "swap"

    def edits(self, text: MarkedText, random: np.random.Generator) -> list[Edit]:
        free = free_words(text, self.protected.always)
        words = [bounds for bounds in free if not unspaced(text.text[bounds[0]])]
        characters = [bounds for bounds in free if unspaced(text.text[bounds[0]])]
        pairs = [(one, other) for one, other in zip(characters, characters[1:]) if one[1] == other[0]]
        chosen = drawn(random, words, self.section.words, 2) if len(words) > 1 else []
        order = random.permutation(len(chosen) // 2 * 2).tolist()
        swapped = [(chosen[one], chosen[other]) for one, other in zip(order[::2], order[1::2])]
        last = 0
        for one, other in drawn(random, pairs, self.section.words / 2, 1):
            if one[0] >= last:  # of neighbouring pairs the first alone
                swapped.append((one, other))
                last = other[1]
        return [edit for (a, b), (c, d) in swapped for edit in _exchanged(text.text, a, b, c, d)]


def _exchanged(text: str, a: int, b: int, c: int, d: int) -> list[Edit]:
    return [] if text[a:b] == text[c:d] else [Edit(a, b, text[c:d]), Edit(c, d, text[a:b])]
