"""The official score of SemEval-2010 Task 8, Hendrickx et al. 2010."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.evaluation.scores import Counts


def relation_scores(
    targets: np.ndarray, predictions: np.ndarray, relation_of: np.ndarray, relations: Sequence[str]
) -> dict[str, Any]:
    """Precision, recall and F1 over relations, "(9+1)-way, taking directionality into account".

    As the organisers' scorer (version 1.2) has it: a prediction is right where relation and direction are; a
    relation's precision is right / predicted in either direction, its recall right / true in either direction. The
    three figures are plain means over the relations that occur in the truth, that of no relation left out.

    Args:
        targets: (n,) index of each row's true label, which names relation and direction.
        predictions: (n,) index of the predicted label.
        relation_of: (labels,) index of each label's relation; -1: none.
        relations: their names.

    Returns:
        f1, precision, recall, and per_relation: {name: {precision, recall, f1, support}}. 0 for a relation that
        was never predicted; None for the means where no relation occurs.
    """
    counts = _counts(targets, predictions, relation_of, len(relations))
    precision, recall, f1 = _ratios(counts)
    occurs = counts.support > 0

    def mean(values: np.ndarray) -> float | None:
        return float(values[occurs].mean()) if occurs.any() else None

    rows = zip(precision.tolist(), recall.tolist(), f1.tolist(), counts.support.tolist())
    return {
        "f1": mean(f1),
        "precision": mean(precision),
        "recall": mean(recall),
        "per_relation": {
            name: dict(zip(("precision", "recall", "f1", "support"), row)) for name, row in zip(relations, rows)
        },
    }


def relation_f1(targets: np.ndarray, predictions: np.ndarray, relation_of: np.ndarray, relations: int) -> float:
    """The `f1` of `relation_scores`, NaN where no relation occurs; quick enough to bootstrap."""
    counts = _counts(targets, predictions, relation_of, relations)
    occurs = counts.support > 0
    return float(_ratios(counts)[2][occurs].mean()) if occurs.any() else float("nan")


def _counts(targets: np.ndarray, predictions: np.ndarray, relation_of: np.ndarray, relations: int) -> Counts:
    def count(labels: np.ndarray) -> np.ndarray:
        relations_of_rows = relation_of[labels]
        return np.bincount(relations_of_rows[relations_of_rows >= 0], minlength=relations)

    return Counts(count(targets[targets == predictions]), count(predictions), count(targets))


def _ratios(counts: Counts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        counts.correct / np.maximum(counts.predicted, 1),
        counts.correct / np.maximum(counts.support, 1),
        2 * counts.correct / np.maximum(counts.predicted + counts.support, 1),
    )
