"""What a method of attribution is given, and what it gives back."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from kerasft.attribution.vectors import VectorModel

LEAST_CHANGE = 1e-3  # logits: the gap of a smaller change is measured against this


@dataclass(frozen=True)
class Question:
    """What is to be explained: a number that a model gives for one row of its inputs, a weighted sum of its logits.

    Attributes:
        features: name -> (tokens,) one row of the model's inputs, without padding.
        words: (tokens,) int32 the word that each token belongs to, negative where it belongs to none.
        count: how many words the text has.
        index: (k, rank - 1) int32 which logits of the row.
        weights: (k,) float32 of each of these logits: 1 for the answer's, -1 for that of another.
    """

    features: Mapping[str, np.ndarray]
    words: np.ndarray
    count: int
    index: np.ndarray
    weights: np.ndarray

    @property
    def length(self) -> int:
        """Tokens of the row."""
        return len(self.words)

    def read(self) -> np.ndarray:
        """(count,) bool, whether the model reads a token of each word."""
        read = np.zeros(self.count, bool)
        read[self.words[self.words >= 0]] = True
        return read


@dataclass(frozen=True)
class Attributed:
    """How a number came about, word by word.

    Attributes:
        words: (count,) float64 what each word adds to it.
        remainder: what tokens that belong to no word add, such as [CLS].
        value: the number itself.
        baseline: what the model gives where the words are taken away.
        points: passes of the model through which the words are brought back; 1 where there is no path.
    """

    words: np.ndarray
    remainder: float
    value: float
    baseline: float
    points: int = 1

    @property
    def gap(self) -> float:
        """|sum - change| / |change|: 0 where the parts add up to what all words together change (completeness)."""
        change = self.value - self.baseline
        return abs(self.words.sum() + self.remainder - change) / max(abs(change), LEAST_CHANGE)


class Attribution(abc.ABC):
    """A method. It is without state; what it draws is a function of a seed.

    Attributes:
        name: what a user calls it.
        complete: whether its parts add up by construction, so that a gap is an error.
        needs_gradients: whether texts and answers alone do not suffice.
    """

    name: ClassVar[str]
    complete: ClassVar[bool]
    needs_gradients: ClassVar[bool]

    @abc.abstractmethod
    def attribute(self, model: VectorModel, questions: Sequence[Question]) -> list[Attributed]:
        """One result a question, in order; questions of like length share a call of the model."""


def by_word(question: Question, tokens: np.ndarray) -> tuple[np.ndarray, float]:
    """(tokens,) parts -> (count,) sums over the tokens of each word, and the sum of those that belong to none."""
    inside = question.words >= 0
    sums = np.bincount(question.words[inside], tokens[inside].astype(np.float64), minlength=question.count)
    return sums, float(tokens[~inside].sum())
