"""What a change of texts does to answers: how many change, and what that costs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from kerasft.evaluation.intervals import bootstrap_interval
from kerasft.evaluation.statistics import mcnemar, share


def compared(
    before: Sequence[Hashable],
    after: Sequence[Hashable],
    right_before: np.ndarray | None = None,
    right_after: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Answers to the same rows, as they were and with changed texts.

    Args:
        before, after: answers in a form in which equal ones are equal; only of rows whose text changed.
        right_before, right_after: (rows,) how right each is, 0 to 1; None where nobody knows.
        seed: of the interval.

    Returns:
        rows; flipped: the share of answers that changed, with Wilson's interval; where truth is known right_before and
        right_after (means), change (their difference with a paired bootstrap interval) and p (McNemar's, exact).
    """
    flips = sum(one != other for one, other in zip(before, after, strict=True))
    found: dict[str, Any] = {"rows": len(before), "flipped": share(flips, len(before))}
    if right_before is None or right_after is None or not len(before):
        return found
    difference = right_after.astype(np.float64) - right_before
    interval = bootstrap_interval(lambda values: float(values.mean()), difference, seed=seed)
    lost, won = int((difference < 0).sum()), int((difference > 0).sum())
    return found | {
        "right_before": float(right_before.mean()),
        "right_after": float(right_after.mean()),
        "change": {"value": float(difference.mean()), "low": interval["low"], "high": interval["high"]},
        "p": mcnemar(lost, won),
    }


def compared_numbers(
    before: Sequence[float], after: Sequence[float], error_before: np.ndarray, error_after: np.ndarray, seed: int
) -> dict[str, Any]:
    """Numbers that a model answers to the same rows, as they were and with changed texts.

    Args:
        before, after: answers, in the units of the data; only of rows whose text changed.
        error_before, error_after: (rows,) how far each is from the truth.
        seed: of the intervals.

    Returns:
        rows; moved: the mean distance between both answers; error_before and error_after, means; change: what is added
        to the error. The figures have a paired bootstrap interval.
    """

    def mean(values: np.ndarray) -> dict[str, Any]:
        interval = bootstrap_interval(lambda sample: float(sample.mean()), values, seed=seed)
        return {"value": float(values.mean()), "low": interval["low"], "high": interval["high"]}

    return {
        "rows": len(before),
        "moved": mean(np.abs(np.asarray(after) - np.asarray(before))),
        "error_before": float(error_before.mean()),
        "error_after": float(error_after.mean()),
        "change": mean(error_after - error_before),
    }
