"""What a sequence of stages came to, from the matrix of its scores (Lopez-Paz and Ranzato 2017, arXiv:1706.08840)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_ROUNDING = 1e-9  # 0.9 - 0.89 is a little more than 0.01
Matrix = Sequence[Sequence[float | None]]  # row j, after stage j: the score on the tests of stages 0 to j


def figures(matrix: Matrix, sizes: Sequence[int], falls: bool = False) -> dict[str, Any]:
    """The figures of a sequence; a score is that of the task's headline.

    Args:
        matrix: `matrix[j][i]` is the score on the test rows of stage i after stage j, for i <= j. A row may be empty
            where nothing was measured then, as of joint training before its last stage; the last row may not.
        sizes: test rows of each stage: the scores of a row are averaged by them, so that for accuracy the mean is
            that of all test rows seen.
        falls: less of the headline is better, as of a perplexity.

    Returns:
        `final`: mean score after the last stage. `average_incremental`: mean over stages of the mean score then.
        `forgetting`: mean over the earlier stages of the best score that a stage's tests had before the last stage
        minus the last one (Chaudhry et al. 2018, arXiv:1801.10112). `backward_transfer`: mean over the earlier stages
        of the last score minus the one right after the stage. Where less is better, these two have the other sign, so
        that more forgetting is worse and more transfer better. `matrix` itself. A figure that rows are missing for, or
        that needs two stages, is None.

    Raises:
        ValueError: the last row is not whole.
    """
    last, stages = matrix[-1], len(matrix)
    if len(last) != stages or any(score is None for score in last):
        raise ValueError(f"the last of {stages} rows has {len(last)} scores")
    means = [_mean(row, sizes) for row in matrix]
    whole = all(mean is not None for mean in means)
    return {
        "final": means[-1],
        "average_incremental": float(np.mean([mean for mean in means if mean is not None])) if whole else None,
        "forgetting": float(np.mean(lost(matrix, falls))) if whole and stages > 1 else None,
        "backward_transfer": (
            float(np.mean([_gain(_number(matrix[i][i]), _number(last[i]), falls) for i in range(stages - 1)]))
            if whole and stages > 1
            else None
        ),
        "matrix": [list(row) for row in matrix],
    }


def _mean(row: Sequence[float | None], sizes: Sequence[int]) -> float | None:
    if not row or any(score is None for score in row):
        return None
    return float(np.average([_number(score) for score in row], weights=sizes[: len(row)]))


def _number(score: float | None) -> float:
    assert score is not None  # the rows that are read here were found to be whole
    return score


def _gain(before: float, after: float, falls: bool) -> float:
    return before - after if falls else after - before


def best_before(matrix: Matrix, falls: bool = False) -> list[float]:
    """The best score that the tests of each earlier stage had before the last stage."""
    best = min if falls else max
    return [best(_number(row[i]) for row in matrix[i:-1]) for i in range(len(matrix) - 1)]


def lost(matrix: Matrix, falls: bool = False) -> list[float]:
    """How much the tests of each earlier stage lost by the last stage, against their best score; above 0: a loss.

    Against the best, and not the stage before, so that many small losses are not let through one by one.
    """
    return [_gain(_number(after), before, falls) for before, after in zip(best_before(matrix, falls), matrix[-1])]


def losers(matrix: Matrix, gate: float, falls: bool = False) -> list[int]:
    """The earlier stages, from 0, whose tests lost more than `gate`: points of a score, a share of a perplexity."""
    units = best_before(matrix, falls) if falls else [1.0] * len(matrix)
    return [stage for stage, loss in enumerate(lost(matrix, falls)) if loss > gate * units[stage] + _ROUNDING]
