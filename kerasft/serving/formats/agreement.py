"""Whether two models give the same answers, scores aside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasft.tasks.base import Task


def same_answers(task: Task, expected: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray]) -> list[bool]:
    """Whether each row has the same answer; where an answer is only numbers, whether they are near.

    Args:
        task: that was answered, with its state.
        expected: output -> (rows, ...).
        answers: the same of another model.
    """
    rows = [task.rows(each) for each in (expected, answers)]
    if any(map(without_scores, rows[0])):
        return [without_scores(one) == without_scores(other) for one, other in zip(*rows, strict=True)]
    return near(expected, answers)


def without_scores(value: Any) -> Any:
    """An answer without its floating-point numbers."""
    if isinstance(value, dict):
        rest = {key: without_scores(inner) for key, inner in value.items() if not isinstance(inner, float)}
        return {key: inner for key, inner in rest.items() if inner not in ({}, [])}
    if isinstance(value, list):
        return [without_scores(inner) for inner in value if not isinstance(inner, float)]
    return value


def near(expected: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray]) -> list[bool]:
    """Whether each row's numbers are nearer to those that were expected than half of how far rows lie apart.

    Args:
        expected: output -> (rows, ...), floats.
        answers: the same of another model.
    """
    same: Any = True
    for name, values in expected.items():
        one, other = (np.asarray(each, np.float64).reshape(len(values), -1) for each in (values, answers[name]))
        if one.shape != other.shape:
            return [False] * len(values)
        apart = np.linalg.norm(one - one.mean(0), axis=1)
        # Rows that are all alike do not lie apart; then the size of the numbers is what there is.
        scale = np.sqrt(np.mean(np.square(apart))) or np.sqrt(np.mean(np.square(np.linalg.norm(one, axis=1))))
        same = same & (np.linalg.norm(one - other, axis=1) <= scale / 2)
    return list(same)


def largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Between numbers of two models; 0 where they are no numbers, or of another shape."""
    if one.dtype.kind != "f" or one.shape != other.shape:
        return 0.0
    return float(np.abs(one - other).max(initial=0.0))
