"""How far a measured figure may be off, given how few examples it was measured on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Resamples(NamedTuple):
    """The statistics that an interval is made of.

    Attributes:
        rows: how many rows were drawn from, by the seed: of two statistics of as many rows the same are drawn.
        values: (resamples,) the statistic of each; NaN where it has none.
    """

    rows: int
    values: np.ndarray


_records: list[list[Resamples]] = []


@contextlib.contextmanager
def recorded_resamples() -> Iterator[list[Resamples]]:
    """A list that gets the resamples of every interval that is computed inside, for differences of two of them."""
    record: list[Resamples] = []
    _records.append(record)
    try:
        yield record
    finally:
        _records.remove(record)


def paired_interval(first: Resamples, second: Resamples, level: float = 0.95) -> dict[str, Any]:
    """Percentile interval of the first statistic less the second, of two models on the same rows: in each resample both
    are measured on the same draws (paired bootstrap, Efron and Tibshirani 1993).

    Returns:
        As `bootstrap_interval`.

    Raises:
        ValueError: the resamples are of different numbers of rows, so they are not paired.
    """
    if first.rows != second.rows:
        raise ValueError(f"resamples of {first.rows} rows and of {second.rows} are not paired")
    return _percentiles(first.values - second.values, level) | {"method": "paired percentile bootstrap"}


def _percentiles(values: np.ndarray, level: float) -> dict[str, Any]:
    """low and high (None where no value is finite), level, and resamples: how many values are finite."""
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]).tolist() if len(values) else (None, None)
    return {"low": low, "high": high, "level": level, "resamples": len(values)}


def bootstrap_interval(
    statistic: Callable[..., float], *arrays: np.ndarray, seed: int, resamples: int = 1000, level: float = 0.95
) -> dict[str, Any]:
    """Percentile bootstrap interval of a statistic over rows, Efron and Tibshirani 1993, chapter 13.

    It says how much the figure would vary over other test sets of this size; not how much it would over other
    training seeds. Resamples in which the statistic is undefined (NaN) are left out.

    Args:
        statistic: takes arrays like `arrays` and answers one number; called `resamples` times, so it should be
            quick: `kerasft.evaluation.scores` has those of the headline figures.
        arrays: each (n, ...); the same rows are drawn from all.
        seed: the interval is a pure function of it and the arrays.
        resamples: how often n rows are drawn with replacement.
        level: the share of resampled figures that lie inside.

    Returns:
        low and high (None where no resample has a value), level, resamples (those with a value), method.

    Raises:
        ValueError: no array, arrays of different lengths or without rows, a level outside (0, 1).
    """
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"arrays: {sorted(lengths)} rows; one common length of at least 1 expected")
    if not 0 < level < 1:
        raise ValueError(f"level: {level} is not between 0 and 1")
    (rows,) = lengths
    random = np.random.default_rng(seed)
    values = np.empty(resamples)
    for index in range(resamples):
        sample = random.integers(0, rows, rows)
        values[index] = statistic(*(array[sample] for array in arrays))
    for record in _records:
        record.append(Resamples(rows, values))
    return _percentiles(values, level) | {"method": "percentile bootstrap"}
