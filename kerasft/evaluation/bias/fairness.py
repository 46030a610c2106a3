"""How the rates of a label differ between groups: the figures of fairlearn, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.evaluation.intervals import bootstrap_interval
from kerasft.evaluation.statistics import share

FEWEST_ROWS = 50  # of a group: of fewer no difference is told
FEWEST_COUNTED = 10  # rows of a group that have a label, or have not: of fewer no rate is compared
GAPS = ("demographic_parity", "equal_opportunity", "equalized_odds")
Rates = dict[str, float | None]


def rates(truth: np.ndarray, answered: np.ndarray) -> Rates:
    """Of one group and one label: how often it is given, given where it is true, and given where it is not.

    Args:
        truth, answered: (rows,) bool.

    Returns:
        selection_rate, true_positive_rate, false_positive_rate; None where there is nothing to count.
    """

    def mean(values: np.ndarray) -> float | None:
        return float(values.mean()) if len(values) else None

    return {
        "selection_rate": mean(answered),
        "true_positive_rate": mean(answered[truth]),
        "false_positive_rate": mean(answered[~truth]),
    }


def gaps(truth: np.ndarray, answered: np.ndarray, groups: np.ndarray) -> Rates:
    """The largest differences between any two groups, for one label.

    demographic_parity: of selection rates (Dwork et al. 2012, arXiv:1104.3913); equal_opportunity: of true positive
    rates, and equalized_odds: of those or of false positive rates, whichever is larger (Hardt et al. 2016,
    arXiv:1610.02413). Groups without a row to count are left out; None where fewer than two are left.

    Args:
        truth, answered: (rows,) bool.
        groups: (rows,) int.
    """
    each = [rates(truth[groups == group], answered[groups == group]) for group in np.unique(groups)]

    def spread(name: str) -> float | None:
        values = [value for found in each if (value := found[name]) is not None]
        return max(values) - min(values) if len(values) > 1 else None

    opportunity, false_positive = spread("true_positive_rate"), spread("false_positive_rate")
    both = [value for value in (opportunity, false_positive) if value is not None]
    return {
        "demographic_parity": spread("selection_rate"),
        "equal_opportunity": opportunity,
        "equalized_odds": max(both) if both else None,
    }


def fairness(
    truth: np.ndarray, answered: np.ndarray, groups: Sequence[str], labels: Sequence[str], seed: int
) -> dict[str, Any]:
    """Accuracy of each group, and for each gap the label with the largest one.

    Args:
        truth, answered: (rows,) int, indices of labels.
        groups: (rows,) name of each row's group; "" where it has none.
        labels: their names.
        seed: of the intervals.

    Returns:
        groups: {name: {rows, accuracy}}; gaps: {name: {label, value, low, high, rates {group: rates}}}, empty where
        fewer than two groups have 50 rows, and without the gaps of true and false positives where no label has
        FEWEST_COUNTED rows and as many others in two groups; small: the groups of fewer than 50.
    """
    names = np.asarray(groups, object)
    every = [name for name in dict.fromkeys(names.tolist()) if name]
    counts = {name: int((names == name).sum()) for name in every}
    large = [name for name in every if counts[name] >= FEWEST_ROWS]
    right = truth == answered
    found: dict[str, Any] = {
        "groups": {
            name: {"rows": counts[name], "accuracy": share(int(right[names == name].sum()), counts[name])}
            for name in every
        },
        "small": [name for name in every if name not in large],
        "gaps": {},
    }
    if len(large) < 2:
        return found
    number = {name: index for index, name in enumerate(large)}
    kept = np.isin(names, large)
    index = np.array([number[name] for name in names[kept]])
    true, given = truth[kept], answered[kept]
    for gap in GAPS:
        values, counted = {}, {}
        for label in range(len(labels)):
            inside = np.ones(len(true), bool) if gap == "demographic_parity" else _counted(true == label, index)
            value = gaps(true[inside] == label, given[inside] == label, index[inside])[gap]
            if value is not None:
                values[label], counted[label] = value, inside
        if values:
            worst = max(values, key=lambda label: values[label])
            arrays = tuple(each[counted[worst]] for each in (true, given, index))
            found["gaps"][gap] = _told(gap, worst, values[worst], arrays, large, labels, seed)
    return found


def _counted(truth: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """(rows,) bool, those of groups in which enough rows have the label and enough have not."""
    sides = [np.bincount(groups[side], minlength=groups.max() + 1) for side in (truth, ~truth)]
    return np.minimum(*sides)[groups] >= FEWEST_COUNTED


def _told(
    gap: str,
    label: int,
    value: float,
    arrays: tuple[np.ndarray, ...],
    groups: Sequence[str],
    labels: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    true, given, index = arrays
    true, given = true == label, given == label

    def statistic(*sample: np.ndarray) -> float:
        found = gaps(*sample)[gap]
        return float("nan") if found is None else found

    interval = bootstrap_interval(statistic, true, given, index, seed=seed)
    return {
        "label": labels[label],
        "value": value,
        "low": interval["low"],
        "high": interval["high"],
        "rates": {
            name: rates(true[index == number], given[index == number])
            for number, name in enumerate(groups)
            if number in index
        },
    }
