"""Words are replaced by synonyms of a list: EDA, Wei and Zou 2019, arXiv:1901.11196."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.augment import SynonymsConfig
from kerasft.config.schema import Config
from kerasft.config.section import Section
from kerasft.data.augmentation.base import Augmenter, Protected, drawn
from kerasft.data.augmentation.lexicons import read_synonyms
from kerasft.data.augmentation.marked_text import Bounds, Edit, MarkedText
from kerasft.data.augmentation.words import free_words
from kerasft.data.sources.scripts import unspaced

if TYPE_CHECKING:
    from kerasft.tasks.base.augmentable import Augmentable

KEY = "augment.synonyms.source"


class Synonyms(Augmenter):
    """Replaces words that stand in the list as they are; no inflected form is made or taken apart.

    In scripts without spaces the longest word of the list that begins at a character is taken, of two or more.

    Args:
        section: `augment.synonyms`.
        protected: words that stay, those of the names of labels among them: `card charge` is an intent of its own.
    """

    name = "synonyms"

    def __init__(self, section: Any, protected: Protected | None = None):
        super().__init__(section, protected)
        self.synonyms = read_synonyms(section.source, KEY)
        self.longest = max((len(word) for word in self.synonyms if unspaced(word[0])), default=0)

    @classmethod
    def check(cls, section: Section, config: Config, task: Augmentable) -> None:
        assert isinstance(section, SynonymsConfig)
        read_synonyms(section.source, KEY)

    def edits(self, text: MarkedText, random: np.random.Generator) -> list[Edit]:
        known = [bounds for bounds in self._candidates(text) if self._others(text.text[slice(*bounds)])]
        edits = []
        for start, end in drawn(random, known, self.section.words, 1):
            word = text.text[start:end]
            others = self._others(word)
            edits.append(Edit(start, end, in_case_of(word, others[int(random.integers(len(others)))])))
        return edits

    def _others(self, word: str) -> tuple[str, ...]:
        others = self.synonyms.get(word.lower(), ())
        return () if word.casefold() in self.protected.all else others

    def _candidates(self, text: MarkedText) -> list[Bounds]:
        """Words with spaces around them, and words of the list in what is written without."""
        words, at = [], 0
        free = free_words(text, self.protected.all)
        runs: list[list[Bounds]] = []
        for start, end in free:
            if not unspaced(text.text[start]):
                words.append((start, end))
            elif runs and runs[-1][-1][1] == start:
                runs[-1].append((start, end))
            else:
                runs.append([(start, end)])
        for run in runs:
            at, stop = run[0][0], run[-1][1]
            while at < stop:
                lengths = range(min(self.longest, stop - at), 1, -1)
                length = next((each for each in lengths if text.text[at : at + each] in self.synonyms), 0)
                if length:
                    words.append((at, at + length))
                at += length or 1
        return sorted(words)


def in_case_of(word: str, other: str) -> str:
    """A synonym with the capitals of the word that it stands for."""
    if len(word) > 1 and word.isupper():
        return other.upper()
    return other[:1].upper() + other[1:] if word[:1].isupper() else other
