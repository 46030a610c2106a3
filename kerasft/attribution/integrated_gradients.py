"""Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365) on the vectors of tokens."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasft.attribution.base import Attributed, Attribution, Question, by_word

if TYPE_CHECKING:
    from kerasft.attribution.vectors import VectorModel

POINTS, MOST_POINTS = 32, 512
LARGEST_GAP = 0.01


class IntegratedGradients(Attribution):
    """The gradient's mean along the straight path from hidden words to the text, times what lies between.

    The integral is Gauss-Legendre's. Where the parts do not add up to what all words change, to `largest_gap` of it,
    the points are doubled, up to `most_points`; what is left of the gap is told.

    Args:
        points: to begin with.
        most_points: at most.
        largest_gap: share of the change.
    """

    name = "integrated_gradients"
    complete = True
    needs_gradients = True

    def __init__(self, points: int = POINTS, most_points: int = MOST_POINTS, largest_gap: float = LARGEST_GAP):
        self.points, self.most_points, self.largest_gap = points, max(points, most_points), largest_gap

    def attribute(self, model: VectorModel, questions: Sequence[Question]) -> list[Attributed]:
        results: dict[int, Attributed] = {}
        left, points = list(range(len(questions))), self.points
        while left:
            some = [questions[number] for number in left]
            for part in model.batches(some, points + 2):
                batch = [some[i] for i in part]
                for i, result in zip(part, self._integrated(model, batch, points)):
                    results[left[i]] = result
            left = [number for number in left if results[number].gap > self.largest_gap]
            points *= 2
            if points > self.most_points:
                break
        return [results[number] for number in range(len(questions))]

    def _integrated(self, model: VectorModel, batch: Sequence[Question], points: int) -> list[Attributed]:
        parts, values, baselines = model.integrated(batch, *gauss_legendre(points))
        found = []
        for question, tokens, value, baseline in zip(batch, parts, values, baselines):
            words, rest = by_word(question, tokens[: question.length])
            found.append(Attributed(words, rest, float(value), float(baseline), points))
        return found


@functools.cache
def gauss_legendre(points: int) -> tuple[np.ndarray, np.ndarray]:
    """Points between 0 and 1, and their weights, which sum to 1."""
    places, weights = np.polynomial.legendre.leggauss(points)
    return (places + 1) / 2, weights / 2
