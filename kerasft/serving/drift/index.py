"""How far what a model sees and says now is from what it was validated on, and when that is worth an alert.

The distance is the population stability index, the symmetrised Kullback-Leibler divergence of two histograms
(Jeffreys 1946; Siddiqi 2006, "Credit Risk Scorecards"): sum of (p - q) ln(p / q). By convention below 0.1 is no
change and above 0.25 a large one. Chance alone makes it large where there are many bins and few rows: it has the mean
(bins - 1)(1/n + 1/m) (Yurdakul 2018, "Statistical Properties of Population Stability Index"). So what chance gives is
drawn from the reference here (a parametric bootstrap), and no index below that counts as a drift.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasft.serving.drift.measures import Bins

SMOOTHING = 0.5  # rows added to each bin: an empty one would make the index infinite
DRAWS = 400
DEVIATIONS = 6.0  # above the mean of what chance gives; windows are looked at thousands of times a day


@dataclass(frozen=True)
class Distribution:
    """A histogram of the reference.

    Args:
        bins: of one measure.
        counts: (bins,) what fell into each.
        rows: how many rows that were; a row may have several labels, or none.
    """

    bins: Bins
    counts: tuple[int, ...]
    rows: int


class Window:
    """The newest rows of one measure.

    Args:
        bins: how many there are.
        size: rows it has at most; older ones leave.
    """

    def __init__(self, bins: int, size: int):
        self.counts = np.zeros(bins, np.int64)
        self._size = size
        self._rows: deque[tuple[int, ...]] = deque()

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, rows: Sequence[tuple[int, ...]]) -> None:
        """The bins of each of some rows."""
        for row in rows:
            if len(self._rows) == self._size:
                np.subtract.at(self.counts, list(self._rows.popleft()), 1)
            self._rows.append(row)
            np.add.at(self.counts, list(row), 1)


def stability_index(counts: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(..., bins) and (..., bins) counts -> (...) population stability index, 0 for equal shares."""
    shares, other_shares = _shares(counts), _shares(others)
    return ((shares - other_shares) * np.log(shares / other_shares)).sum(axis=-1)


def by_chance(reference: Distribution, counts: np.ndarray, rows: int) -> tuple[float, float]:
    """Mean and standard deviation of the index between two samples of the reference's own distribution.

    Args:
        reference: whose shares are taken as true.
        counts: (bins,) of the window.
        rows: of the window. Labels of one row are not independent, so no more are drawn than there are rows.
    """
    shares = _shares(np.asarray(reference.counts))
    sizes = (min(sum(reference.counts), reference.rows), min(int(counts.sum()), rows))
    random = np.random.default_rng(0)  # the same answer for the same window
    first, second = (random.multinomial(size, shares, DRAWS) for size in sizes)
    indices = stability_index(first, second)
    return float(indices.mean()), float(indices.std())


@dataclass(frozen=True)
class Drift:
    """One look at a measure.

    Args:
        index: the population stability index.
        bound: what it has to pass to be a drift: the threshold, or what chance gives where that is more.
        calm: what it has to fall below for the drift to be over: halfway from what chance gives to `bound`.
    """

    index: float
    bound: float
    calm: float


def look(reference: Distribution, counts: np.ndarray, rows: int, threshold: float) -> Drift:
    """A window's distance from the reference.

    Args:
        reference: of the measure.
        counts: (bins,) of the window.
        rows: of the window.
        threshold: least index that is a drift.
    """
    mean, deviation = by_chance(reference, counts, rows)
    bound = max(threshold, mean + DEVIATIONS * deviation)
    index = float(stability_index(np.asarray(reference.counts), counts))
    return Drift(index, bound, mean + (bound - mean) / 2)


def _shares(counts: np.ndarray) -> np.ndarray:
    smoothed = counts + SMOOTHING
    return smoothed / smoothed.sum(axis=-1, keepdims=True)
