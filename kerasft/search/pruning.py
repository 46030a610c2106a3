"""Which trials end early: a function of the curves, asked again after a kill with the same answer.

Values are compared at equal steps. Optuna's pruners keep notes in the trial; a kill between note and answer would
change the answer, so the rules stand here and tests hold them against Optuna's.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass

Curve = Mapping[int, float]  # step of a validation -> the headline figure


@dataclass(frozen=True)
class Pruning:
    """The rule of a search.

    Attributes:
        name: none, asha, median or hyperband.
        falls: less is better.
        first_rung: the step of the first comparison; None: each trial's first validation.
        factor: one of so many goes on from a rung.
        startup: complete trials that there must be for a median.
        steps: of a whole trial, for hyperband.
    """

    name: str
    falls: bool
    first_rung: int | None = None
    factor: int = 3
    startup: int = 5
    steps: int | None = None

    def ends(self, number: int, step: int, curves: Mapping[int, Curve], complete: Collection[int]) -> bool:
        """Whether a trial ends here.

        Args:
            number: of the trial.
            step: of its newest validation.
            curves: of all trials by number, its own up to this step.
            complete: numbers of trials that went to their last step.
        """
        if self.name == "none":
            return False
        if math.isnan(curves[number][step]):
            return True
        if self.name == "median":
            return self._below_median(number, step, curves, complete)
        first = self.first_rung or min(curves[number])
        if self.name == "hyperband":
            bracket = self._bracket(number, first)
            curves = {other: curve for other, curve in curves.items() if self._bracket(other, first) == bracket}
            first *= self.factor**bracket
        return self._halved(number, step, curves, first)

    def _halved(self, number: int, step: int, curves: Mapping[int, Curve], first: int) -> bool:
        """Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934)."""
        own, rung = curves[number], first
        while rung <= step:
            reached = {other: _at(curve, rung) for other, curve in curves.items()}
            if _step_at(own, rung) == step:  # this validation is the one that decides at the rung
                values = sorted(self._cost(value) for value in reached.values() if value is not None)
                best = max(len(values) // self.factor, 1)
                if self._cost(own[step]) > values[best - 1]:
                    return True
            rung *= self.factor
        return False

    def _below_median(self, number: int, step: int, curves: Mapping[int, Curve], complete: Collection[int]) -> bool:
        """Its best until now is worse than the median of whole trials at this step (Golovin et al. 2017)."""
        if len(set(complete) - {number}) < self.startup:
            return False
        others = [curves[other][step] for other in complete if other != number and step in curves[other]]
        others = [value for value in others if not math.isnan(value)]
        if not others:
            return False
        best = min(self._cost(value) for at, value in curves[number].items() if at <= step)
        return best > self._cost(statistics.median(others))

    def _bracket(self, number: int, first: int) -> int:
        """Of Hyperband (Li et al. 2018, arXiv:1603.06560): a trial's bracket; the lower, the earlier it may end."""
        most = 0
        while self.steps is not None and first * self.factor ** (most + 1) <= self.steps:
            most += 1
        sizes = [math.ceil((most + 1) * self.factor ** (most - s) / (most - s + 1)) for s in range(most + 1)]
        place = number % sum(sizes)
        for bracket, size in enumerate(sizes):
            if place < size:
                return bracket
            place -= size
        raise AssertionError

    def _cost(self, value: float) -> float:
        """Less is better; what is no number is worst."""
        if math.isnan(value):
            return math.inf
        return value if self.falls else -value


def _step_at(curve: Curve, rung: int) -> int | None:
    return min((step for step in curve if step >= rung), default=None)


def _at(curve: Curve, rung: int) -> float | None:
    """The value at the first validation that is not before a rung; None: it did not come so far."""
    step = _step_at(curve, rung)
    return None if step is None else curve[step]
