"""Typing errors: one in each chosen word."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasft.data.augmentation.base import Augmenter, Protected, drawn
from kerasft.data.augmentation.marked_text import Edit, MarkedText
from kerasft.data.augmentation.words import free_words, letters
from kerasft.data.sources.scripts import unspaced

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # of a keyboard; each is half a key to the right of the one above


def _neighbours() -> dict[str, str]:
    places = {key: (row, column + row / 2) for row, keys in enumerate(_ROWS) for column, key in enumerate(keys)}
    return {
        key: "".join(
            other for other, (y, x) in places.items() if other != key and abs(y - row) <= 1 and abs(x - column) <= 1
        )
        for key, (row, column) in places.items()
    }


NEIGHBOURS = _neighbours()  # key -> those beside it


class Typos(Augmenter):
    """Two letters change places, or one is left out, put in or replaced by its neighbour on the keyboard.

    A letter moves with its accents. Scripts without spaces have no such errors, and stay as they are.

    Args:
        section: `augment.typos`.
        protected: words that stay.
        least: words of a text that get an error at least; 0: the share is exact in expectation, as for a noisy test.
    """

    name = "typos"

    def __init__(self, section: Any, protected: Protected | None = None, least: int = 1):
        super().__init__(section, protected)
        self.least = least

    def edits(self, text: MarkedText, random: np.random.Generator) -> list[Edit]:
        words = []
        for start, end in free_words(text, self.protected.always):
            word = text.text[start:end]
            if len(letters(word)) >= self.section.min_letters and not unspaced(word[0]):
                words.append((start, end))
        chosen = drawn(random, words, self.section.words, self.least)
        return [_misspelt(text.text, start, end, random) for start, end in chosen]


def _misspelt(text: str, start: int, end: int, random: np.random.Generator) -> Edit:
    signs = letters(text[start:end])
    places = [start]
    for sign in signs:
        places.append(places[-1] + len(sign))
    kind, at = int(random.integers(4)), int(random.integers(len(signs)))
    first, stop = places[at], places[at + 1]
    if kind == 0:
        pairs = [place for place in range(len(signs) - 1) if signs[place] != signs[place + 1]]
        if pairs:
            at = pairs[int(random.integers(len(pairs)))]
            return Edit(places[at], places[at + 2], signs[at + 1] + signs[at])
    if kind == 1:
        return Edit(first, stop, "")
    near = _near(signs[at], random)
    if kind == 2 and near != signs[at]:
        return Edit(first, stop, near)
    return Edit(stop, stop, near)  # a key that was hit too, or the same one twice


def _near(sign: str, random: np.random.Generator) -> str:
    """A key beside that of a letter, in its case; the letter itself where the keyboard does not have it."""
    keys = NEIGHBOURS.get(sign.lower())
    if keys is None:
        return sign
    key = keys[int(random.integers(len(keys)))]
    return key.upper() if sign.isupper() else key
