"""Scores of decisions already taken: the counting under every metric, quick enough to bootstrap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_IN_MATRIX = 200  # classes
MOST_PAIRS = 1000


@dataclass(frozen=True)
class Counts:
    """How often each class was right, predicted and true; each (c,) int."""

    correct: np.ndarray
    predicted: np.ndarray
    support: np.ndarray


def decisions(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(n, c), (c,) -> (n, c) bool: which labels a multi-label model gives."""
    return probabilities >= thresholds


def single_label_counts(targets: np.ndarray, predictions: np.ndarray, classes: int) -> Counts:
    """(n,) and (n,) class indices -> counts of `classes` classes."""
    return Counts(
        correct=np.bincount(targets[targets == predictions], minlength=classes),
        predicted=np.bincount(predictions, minlength=classes),
        support=np.bincount(targets, minlength=classes),
    )


def multi_label_counts(targets: np.ndarray, predictions: np.ndarray) -> Counts:
    """(n, c) and (n, c) bool -> counts of c classes."""
    return Counts((targets & predictions).sum(axis=0), predictions.sum(axis=0), targets.sum(axis=0))


def confusion_matrix(targets: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """(n,) and (n,) class indices -> (classes, classes) int, rows true, columns predicted."""
    return np.bincount(targets * classes + predictions, minlength=classes * classes).reshape(classes, classes)


def confused_pairs(targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) and (n,) class indices -> true class, predicted class and count of each pair of two that occurs, (pairs,)
    each, the most frequent first; no more memory than the rows take, however many classes there are."""
    wrong = targets != predictions
    pairs = np.stack([targets[wrong], predictions[wrong]], axis=1)
    distinct, counts = np.unique(pairs, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return distinct[order, 0], distinct[order, 1], counts[order]


def confusions(targets: np.ndarray, predictions: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Which classes are taken for which.

    Returns:
        confusion_matrix (rows true, columns predicted); of more than 200 classes, where nobody could read it,
        confused_pairs, a {true, predicted, count} for each of the 1,000 most frequent, and confused_pairs_in_all, how
        many there are.
    """
    if len(labels) <= MOST_IN_MATRIX:
        return {"confusion_matrix": confusion_matrix(targets, predictions, len(labels)).tolist()}
    true, answered, counts = confused_pairs(targets, predictions)
    rows = zip(true[:MOST_PAIRS].tolist(), answered[:MOST_PAIRS].tolist(), counts[:MOST_PAIRS].tolist())
    pairs = [{"true": labels[one], "predicted": labels[other], "count": count} for one, other, count in rows]
    return {"confused_pairs": pairs, "confused_pairs_in_all": len(counts)}


def per_class_scores(counts: Counts) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of each class.

    Returns:
        name -> (c,) float. 0 where a class was never predicted or never true; NaN where both, for
        such a class was not examined at all.
    """
    occurs = (counts.support + counts.predicted) > 0

    def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        return np.where(occurs, numerator / np.maximum(denominator, 1), np.nan)

    return {
        "precision": ratio(counts.correct, counts.predicted),
        "recall": ratio(counts.correct, counts.support),
        "f1": ratio(2 * counts.correct, counts.predicted + counts.support),
    }


def averaged_scores(counts: Counts) -> dict[str, float]:
    """Macro, micro and weighted precision, recall and F1, keys such as `macro_f1`.

    Macro is the plain mean over classes that occur in truth or prediction; weighted is the mean by
    support; micro counts all decisions together. NaN where no class occurs.
    """
    per_class = per_class_scores(counts)
    total = Counts(*(np.atleast_1d(values.sum()) for values in (counts.correct, counts.predicted, counts.support)))
    micro = per_class_scores(total)
    occurs = ~np.isnan(per_class["f1"])
    support = counts.support.sum()
    scores: dict[str, float] = {}
    for name, values in per_class.items():
        scores[f"macro_{name}"] = float(values[occurs].mean()) if occurs.any() else float("nan")
        scores[f"micro_{name}"] = float(micro[name][0])
        weighted = float(values[occurs] @ counts.support[occurs]) / max(int(support), 1)
        scores[f"weighted_{name}"] = weighted if support else float("nan")
    return scores


def macro_f1(targets: np.ndarray, predictions: np.ndarray) -> float:
    """(n,) and (n,) class indices -> mean F1 of the classes that occur in either."""
    classes = int(max(targets.max(), predictions.max())) + 1
    return averaged_scores(single_label_counts(targets, predictions, classes))["macro_f1"]


def multi_label_macro_f1(targets: np.ndarray, predictions: np.ndarray) -> float:
    """(n, c) and (n, c) of 0 and 1 -> mean F1 of the classes that occur in either; NaN where none does."""
    return averaged_scores(multi_label_counts(targets.astype(bool), predictions.astype(bool)))["macro_f1"]


def pearson(targets: np.ndarray, predictions: np.ndarray) -> float:
    """(n,), (n,) -> Pearson's correlation; NaN where either is constant."""
    if np.ptp(targets) == 0 or np.ptp(predictions) == 0:
        return math.nan
    return float(np.corrcoef(targets, predictions)[0, 1])


def spearman(targets: np.ndarray, predictions: np.ndarray) -> float:
    """(n,), (n,) -> Spearman's rank correlation, ties at their mean rank; NaN where either is constant."""
    from scipy.stats import rankdata  # half a second to import: a config's mistake need not wait for it

    return pearson(rankdata(targets), rankdata(predictions))
