"""Is an explanation true of this model? Words are hidden in its order, and the answer is looked at.

Comprehensiveness and sufficiency (DeYoung et al. 2020, arXiv:1911.03429), averaged over how many words are hidden, and
normalised by what the best and the worst order can do with this model and this text (Edin et al. 2024,
arXiv:2408.08137): without that, figures of two models say nothing beside each other. A random order is the baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerasft.attribution.base import Attributed, Attribution, Question
from kerasft.attribution.vectors import VectorModel
from kerasft.evaluation.intervals import bootstrap_interval

BEAM = 2  # orders that the search for bounds keeps
RANDOM_ORDERS = 5
MOST_WORDS = 24  # of a text: the search takes a square of them
RANDOM = "random"


class Erasure:
    """One text whose words are hidden in some order: what the number is for each set of hidden words.

    Args:
        model: that is asked.
        question: of the number.
    """

    def __init__(self, model: VectorModel, question: Question):
        self.model, self.question = model, question
        self.words = np.flatnonzero(question.read()).tolist()
        self._known: dict[frozenset[int], float] = {}

    def know(self, sets: Sequence[frozenset[int]]) -> None:
        """Asks for the sets that are not known yet, in one go."""
        new = [hidden for hidden in dict.fromkeys(sets) if hidden not in self._known]
        if not new:
            return
        words, ids = self.question.words, self.question.features["token_ids"]
        rows = [np.where(np.isin(words, list(hidden)) & (words >= 0), self.model.baseline, ids) for hidden in new]
        scores = self.model.scores([self.question] * len(new), rows)
        self._known.update(zip(new, map(float, scores)))

    def drop(self, hidden: frozenset[int]) -> float:
        """What the number loses where these words are hidden; all sets were asked for."""
        return self._known[frozenset()] - self._known[hidden]

    def comprehensiveness(self, order: Sequence[int]) -> float:
        """The mean loss where the first 1, 2, ... words of an order are hidden."""
        sets = [frozenset(order[:count]) for count in range(1, len(order) + 1)]
        self.know([frozenset(), *sets])
        return float(np.mean([self.drop(hidden) for hidden in sets]))

    def sufficiency(self, order: Sequence[int]) -> float:
        """The mean loss where the first 1, 2, ... words of an order alone are left; less is better."""
        sets = [frozenset(order[count:]) for count in range(1, len(order) + 1)]
        self.know([frozenset(), *sets])
        return float(np.mean([self.drop(hidden) for hidden in sets]))

    def bounds(self) -> tuple[float, float]:
        """The least and the largest comprehensiveness of any order, as far as a beam search finds them."""
        low, high = self._searched(-1.0), self._searched(1.0)
        return (min(low, high), max(low, high))

    def _searched(self, sign: float) -> float:
        beams: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        for _ in self.words:
            longer = [(total, (*order, word)) for total, order in beams for word in self.words if word not in order]
            self.know([frozenset(), *(frozenset(order) for _, order in longer)])
            scored = [(total + self.drop(frozenset(order)), order) for total, order in longer]
            best: dict[frozenset[int], tuple[float, tuple[int, ...]]] = {}
            for each in sorted(scored, key=lambda each: -sign * each[0]):
                best.setdefault(frozenset(each[1]), each)
            beams = list(best.values())[:BEAM]
        return beams[0][0] / len(self.words)


def order_of(result: Attributed, words: Sequence[int]) -> list[int]:
    """Words by what they add, the most first."""
    return sorted(words, key=lambda word: (-result.words[word], word))


def normalised(value: float, low: float, high: float) -> float | None:
    """0 at the least that any order reaches, 1 at the most; None where all orders are the same."""
    return None if high - low < 1e-6 else (value - low) / (high - low)


def measured_rows(
    model: VectorModel, questions: Sequence[Question], results: dict[str, Sequence[Attributed]], seed: int
) -> Iterator[dict[str, tuple[float | None, float | None]]]:
    """For each question: method, RANDOM among them -> its normalised comprehensiveness and sufficiency."""
    draw = np.random.default_rng(seed)
    for number, question in enumerate(questions):
        erased = Erasure(model, question)
        if not 2 <= len(erased.words) <= MOST_WORDS:
            continue
        low, high = erased.bounds()
        # Left alone in one order is hidden in the reverse: the same bounds, moved by what all words change.
        moved = erased.drop(frozenset(erased.words)) / len(erased.words)

        def both(
            order: Sequence[int], erased=erased, low=low, high=high, moved=moved
        ) -> tuple[float | None, float | None]:
            return (
                normalised(erased.comprehensiveness(order), low, high),
                normalised(erased.sufficiency(order), low - moved, high - moved),
            )

        found = {name: both(order_of(each[number], erased.words)) for name, each in results.items()}
        drawn = [both(draw.permutation(erased.words).tolist()) for _ in range(RANDOM_ORDERS)]
        found[RANDOM] = (_mean([one for one, _ in drawn]), _mean([other for _, other in drawn]))
        yield found


def faithfulness(rows: Sequence[dict[str, tuple[float | None, float | None]]], seed: int) -> dict[str, Any]:
    """Rows of `measured_rows` -> method -> comprehensiveness and sufficiency, each a mean with its interval."""
    found: dict[str, Any] = {}
    for name in rows[0] if rows else ():
        found[name] = {}
        for place, kind in enumerate(("comprehensiveness", "sufficiency")):
            values = np.array([value for row in rows if (value := row[name][place]) is not None])
            if not len(values):
                continue
            interval = bootstrap_interval(lambda sample: float(sample.mean()), values, seed=seed)
            found[name][kind] = {"value": float(values.mean()), "low": interval["low"], "high": interval["high"]}
    return found


def timed(model: VectorModel, method: Attribution, questions: Sequence[Question]) -> tuple[list[Attributed], float]:
    """The results of a method, and seconds an explanation; the graph is made before the clock starts."""
    import time

    method.attribute(model, questions[:1])
    start = time.monotonic()
    results = method.attribute(model, questions)
    return results, (time.monotonic() - start) / max(1, len(questions))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
