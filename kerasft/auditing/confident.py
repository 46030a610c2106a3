"""Confident learning: which given classes are probably wrong (Northcutt, Jiang and Chuang 2021, arXiv:1911.00068).

What is found is what `find_label_issues` of cleanlab 2.9 finds in the same matrix, with its defaults: off-diagonal
counts of the confident joint say how many rows of each pair of classes are wrong, margins say which.
"""

from __future__ import annotations

import numpy as np

_ALMOST = 1e-6  # two probabilities that differ by less are equal, as in cleanlab


def label_issues(given: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(rows,) bool, the rows whose given class is probably wrong.

    Args:
        given: (rows,) class of each row by the data.
        probabilities: (rows, classes) out of sample; a class that no row has may be among them.
    """
    rows, classes = probabilities.shape
    issues = np.zeros(rows, bool)
    counts = _wrong_counts(confident_joint(given, probabilities))
    for own in range(classes):
        members = np.flatnonzero(given == own)
        if len(members) <= 1:  # a class never loses its last row
            continue
        for other in np.flatnonzero(counts[own]):
            if other != own:
                margins = probabilities[members, other] - probabilities[members, own]
                issues[members[np.argsort(-margins)[: counts[own, other]]]] = True
    believed = probabilities.copy()
    believed[np.arange(rows), given] += _ALMOST
    return issues & (believed.argmax(1) != given)


def thresholds_of(given: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(classes,) the mean probability of each class among the rows that are given it; 2, which none reaches, where
    there is none."""
    classes = probabilities.shape[1]
    means = [probabilities[given == own, own].mean() if (given == own).any() else 2.0 for own in range(classes)]
    return np.clip(means, 2 * _ALMOST, None)


def confident_joint(given: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(classes, classes) int, estimated rows by given class (first axis) and true one; they sum to all rows."""
    classes = probabilities.shape[1]
    confident = probabilities >= thresholds_of(given, probabilities) - _ALMOST
    several = confident.sum(1) > 1
    guess = np.where(several, probabilities.argmax(1), confident.argmax(1))
    sure = confident.any(1)
    joint = np.zeros((classes, classes), order="F")
    np.add.at(joint, (given[sure], guess[sure]), 1)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    counts = np.bincount(given, minlength=classes)
    # Operations and memory have cleanlab's order: a half is rounded by the last bit of a sum.
    joint = (joint.T / joint.sum(1) * counts).T
    joint = joint / joint.sum() * counts.sum()
    return _rounded(joint)


def _wrong_counts(joint: np.ndarray) -> np.ndarray:
    """(classes, classes) how many rows of each given class are of each other; every class keeps at least one row."""
    pruned = joint.T  # (true, given)
    diagonal = np.maximum(pruned.diagonal(), 1)
    added = diagonal - pruned.diagonal()
    spread = np.maximum(np.count_nonzero(pruned, axis=0) - 1.0, 1.0)
    pruned = np.maximum(pruned - added / spread, 0.0)
    np.fill_diagonal(pruned, diagonal)
    return _rounded(pruned.astype(int)).T


def _rounded(matrix: np.ndarray) -> np.ndarray:
    """Each row in whole numbers with the sum that it had, rounded."""
    return np.stack([_rounded_row(row) for row in matrix])


def _rounded_row(values: np.ndarray) -> np.ndarray:
    whole = values.round()
    wanted = np.round(values.sum())
    while abs(difference := wanted - whole.sum()) > _ALMOST:
        step = -1 if difference < 0 else 1
        places = np.argsort(values - whole)[::-step][: min(int(abs(difference)), len(values))]
        whole[places] += step
    return whole.astype(int)
