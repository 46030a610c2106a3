"""When a text belongs to none of the labels: a threshold on the best label's probability, and what it costs."""

from __future__ import annotations

from typing import Any

import numpy as np


def choose_threshold(
    confidences: np.ndarray, right: np.ndarray, inside: np.ndarray, max_accuracy_loss: float | None
) -> float:
    """The confidence below which a text counts as out of scope (Hendrycks and Gimpel 2017, arXiv:1610.02136).

    Candidates are 0 and the points halfway between neighbouring confidences. In-scope accuracy can only fall as
    the threshold rises, and out-of-scope recall only rise.

    Args:
        confidences: (n,) float32 probability of the best label; negative where out of scope was predicted anyway.
        right: (n,) bool, whether that label is the true one.
        inside: (n,) bool, whether the text is in scope; some must be, and without `max_accuracy_loss` not all.
        max_accuracy_loss: None: the candidate with the highest mean of in-scope accuracy and out-of-scope recall,
            of equals the lowest. A number: the highest candidate whose in-scope accuracy is at most this much
            below that of threshold 0.

    Returns:
        A float32 number, so that a served model which compares in float32 decides alike.
    """
    values = np.unique(np.asarray(confidences, np.float32))
    values = values[values >= 0]
    candidates = np.concatenate([[np.float32(0)], (values[:-1] + values[1:]) / 2]).astype(np.float32)
    # how many in-scope texts are right at or above each candidate, and how many others lie below it
    right_inside = np.sort(confidences[inside & right])
    accuracy = (len(right_inside) - np.searchsorted(right_inside, candidates)) / inside.sum()
    if max_accuracy_loss is not None:
        allowed = accuracy >= accuracy[0] - max_accuracy_loss - 1e-12
        return float(candidates[np.flatnonzero(allowed)[-1]])
    outside = np.sort(confidences[~inside])
    recall = np.searchsorted(outside, candidates) / len(outside)
    return float(candidates[np.argmax(accuracy + recall)])


def out_of_scope_scores(targets: np.ndarray, predictions: np.ndarray, outside: int) -> dict[str, Any]:
    """What the threshold costs and gains, Larson et al. 2019, arXiv:1909.02027.

    Args:
        targets: (n,) index of the true class.
        predictions: (n,) index of the answer, after the threshold.
        outside: index of the class that means out of scope.

    Returns:
        in_scope_accuracy: share of in-scope texts with the right label, an out-of-scope answer being wrong;
        out_of_scope_recall and out_of_scope_precision. None where there is nothing to count.
    """
    inside, refused = targets != outside, predictions == outside

    def share(values: np.ndarray) -> float | None:
        return float(values.mean()) if len(values) else None

    return {
        "in_scope_accuracy": share((targets == predictions)[inside]),
        "out_of_scope_recall": share(refused[~inside]),
        "out_of_scope_precision": share(~inside[refused]),
    }
