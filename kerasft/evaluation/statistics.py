"""Intervals and tests for shares and for two answers to the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

LEVEL = 0.95


def wilson_interval(successes: float, rows: float, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of a share (Wilson 1927), which holds for few rows and shares near 0 or 1; (0, 1) of none."""
    if not rows:
        return 0.0, 1.0
    z = normal_quantile((1 + level) / 2)
    share, square = successes / rows, z * z
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    half = z * math.sqrt(share * (1 - share) / rows + square / (4 * rows * rows)) / (1 + square / rows)
    return max(0.0, middle - half), min(1.0, middle + half)


def normal_quantile(probability: float) -> float:
    """Of the standard normal distribution."""
    from scipy.special import ndtri

    return float(ndtri(probability))


def share(successes: int, rows: int) -> dict[str, Any]:
    """A share with its Wilson interval: value (None of no rows), low, high, rows."""
    low, high = wilson_interval(successes, rows)
    return {"value": successes / rows if rows else None, "low": low, "high": high, "rows": rows}


def clustered_share(successes: Sequence[int], sizes: Sequence[int]) -> dict[str, Any]:
    """A share whose trials come in clusters, such as several changes of one text, with an interval that knows it.

    Trials of one cluster tell less than as many of different ones. As Rao and Scott (1992) have it, trials and
    successes are divided by the design effect (the variance between clusters over that of independent trials, at least
    1), and Wilson's interval is of what is left. Where all trials end alike, clusters count as one trial each.

    Args:
        successes: (clusters,) of each.
        sizes: (clusters,) trials of each, 1 or more.

    Returns:
        As `share`, where rows are trials, with `clusters`.
    """
    trials, hits, clusters = sum(sizes), sum(successes), len(sizes)
    found = share(hits, trials) | {"clusters": clusters}
    if not trials:
        return found
    value, effect = hits / trials, trials / clusters
    if 0 < hits < trials and clusters > 1:
        between = sum((won - value * size) ** 2 for won, size in zip(successes, sizes, strict=True))
        effect = max(1.0, clusters / (clusters - 1) * between / (trials * value * (1 - value)))
    low, high = wilson_interval(hits / effect, trials / effect)
    return found | {"low": low, "high": high}


def mcnemar(first_only: int, second_only: int) -> float:
    """The exact p-value of McNemar's test: two models, or two forms of the same texts, are right equally often.

    Args:
        first_only: rows on which the first alone is right.
        second_only: and the second alone.
    """
    from scipy.stats import binom

    disagree = first_only + second_only
    if not disagree:
        return 1.0
    return float(min(1.0, 2 * binom.cdf(min(first_only, second_only), disagree, 0.5)))


def fisher(right: int, rows: int, other_right: int, other_rows: int) -> float:
    """The two-sided p-value of Fisher's exact test: both sets of rows are right equally often."""
    from scipy.stats import fisher_exact

    table = [[right, rows - right], [other_right, other_rows - other_right]]
    return float(fisher_exact(table)[1])


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values of many comparisons (Holm 1979): one below 0.05 is so with all others in view."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def auroc(positive: np.ndarray, negative: np.ndarray) -> float | None:
    """The chance that a score of the first kind is above one of the second, ties for half; None without both."""
    if not len(positive) or not len(negative):
        return None
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    return float((ranks.sum() - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative)))
