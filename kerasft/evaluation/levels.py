"""Labels that are paths, such as travel/flight/delay: what they are at each level, and scores there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.evaluation.scores import averaged_scores, single_label_counts


def at_depth(label: str, separator: str, depth: int) -> str:
    """The first `depth` parts of a path; a shorter path as it is."""
    return separator.join(label.split(separator)[:depth])


def parents(labels: Sequence[str], separator: str) -> tuple[list[str], np.ndarray]:
    """Every path that lies above a label, sorted, and which labels lie at or below it.

    Returns:
        p names, and (labels, p) float32 of 0 and 1: probabilities of labels times this are those of the parents.
    """
    deepest = max(label.count(separator) for label in labels)
    above = {
        at_depth(label, separator, depth)
        for label in labels
        for depth in range(1, deepest + 1)
        if label.count(separator) >= depth
    }
    names = sorted(above)
    below = [[label == name or label.startswith(name + separator) for name in names] for label in labels]
    return names, np.asarray(below, np.float32).reshape(len(labels), len(names))


def level_scores(
    targets: np.ndarray, predictions: np.ndarray, labels: Sequence[str], separator: str
) -> list[dict[str, Any]]:
    """Accuracy and macro F1 at each depth, of the answer's own parents.

    Args:
        targets: (n,) index of the true label.
        predictions: (n,) index of the answer.
        labels: their names; one that ends above a depth stands there as it is.
        separator: between the parts of a name.

    Returns:
        One {depth, classes, accuracy, macro_f1} a depth, from 1 to that of the deepest label; macro F1 as in
        `kerasft.evaluation.metrics.single_label_metrics`.
    """
    levels = []
    for depth in range(1, max(label.count(separator) for label in labels) + 2):
        names, number = np.unique([at_depth(label, separator, depth) for label in labels], return_inverse=True)
        truth, answers = number[targets], number[predictions]
        scores = averaged_scores(single_label_counts(truth, answers, len(names)))
        accuracy = float((truth == answers).mean())
        levels.append({"depth": depth, "classes": len(names), "accuracy": accuracy, "macro_f1": scores["macro_f1"]})
    return levels
