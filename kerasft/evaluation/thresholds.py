"""Where a multi-label model says yes: one threshold a class, chosen on the validation split."""

from __future__ import annotations

import numpy as np

FEWEST_POSITIVES = 5


def tune_thresholds(targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The threshold of each class that maximises its F1, Lipton et al. 2014, arXiv:1402.1892.

    A class with fewer than 5 positives would get a threshold that fits those few texts alone (the
    paper's "winner's curse"), so it takes the threshold that maximises micro F1 over all classes
    together. Without a single positive in any class, every threshold is 0.5.

    A threshold lies halfway between the lowest score that is let in and the next one below, and
    is a float32 number, so that a served model which compares in float32 decides alike.

    Args:
        targets: (n, c) of 0 and 1.
        probabilities: (n, c) float in [0, 1].

    Returns:
        (c,) float64; a label is predicted where its probability is >= its threshold.

    Raises:
        ValueError: the shapes differ or there is no row.
    """
    targets = np.asarray(targets).astype(bool)
    probabilities = np.asarray(probabilities, np.float32)
    if targets.shape != probabilities.shape or targets.ndim != 2 or not len(targets):
        raise ValueError(
            f"targets {targets.shape} and probabilities {probabilities.shape} must be one row or more, alike"
        )
    if not targets.any():
        return np.full(targets.shape[1], 0.5)
    shared = _best_thresholds(targets.reshape(-1, 1), probabilities.reshape(-1, 1))
    enough = targets.sum(axis=0) >= FEWEST_POSITIVES
    return np.where(enough, _best_thresholds(targets, probabilities), shared).astype(np.float64)


def _best_thresholds(targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n, c), (n, c) float32 -> (c,) float32. Of equally good thresholds the highest."""
    rows, classes = targets.shape
    order = np.argsort(-probabilities, axis=0, kind="stable")
    scores = np.take_along_axis(probabilities, order, axis=0)
    below = np.vstack([scores[1:], np.zeros((1, classes), np.float32)])  # (n, c) the score after the last one let in
    correct = np.cumsum(np.take_along_axis(targets, order, axis=0), axis=0)
    f1 = 2 * correct / (np.arange(1, rows + 1)[:, None] + targets.sum(axis=0))
    f1[:-1][scores[1:] == scores[:-1]] = -1  # equal scores are let in together or not at all
    best = f1.argmax(axis=0)
    lowest_in, highest_out = scores[best, np.arange(classes)], below[best, np.arange(classes)]
    middle = (lowest_in + highest_out) / np.float32(2)
    return np.where(middle > highest_out, middle, lowest_in)
