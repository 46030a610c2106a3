"""The loss of a whole split, from its logits: what training minimises, where a task's metrics do not say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared
from kerasft.tasks.base import Task

ROWS = 256  # at once


def split_loss(task: Task, split: Prepared, logits: np.ndarray, metrics: Mapping[str, Any]) -> float | None:
    """Mean loss of a row; `log_loss` where the task's metrics have that, None where they could not say it.

    Args:
        task: gives the loss of logits; one that condenses them has a `log_loss`.
        split: prepared, without weights.
        logits: of the split, as `Evaluator.logits` returns them.
        metrics: of the same split and logits.
    """
    if "log_loss" in metrics:
        return metrics["log_loss"]
    total = 0.0
    for start in range(0, len(split), ROWS):
        rows = np.arange(start, min(start + ROWS, len(split)))
        _, targets, weights = split.batch(rows)
        part = _padded(split, logits, rows, targets.shape[1]) if split.token_targets else logits[rows]
        total += float(task.loss_sum(tf.constant(targets), tf.constant(part), tf.constant(weights)))
    return total / len(split)


def _padded(split: Prepared, logits: np.ndarray, rows: np.ndarray, length: int) -> np.ndarray:
    """(tokens of the split, ...) -> (rows, length, ...), 0 where a row has no token."""
    padded = np.zeros((len(rows), length, *logits.shape[1:]), logits.dtype)
    padded[np.arange(length) < split.lengths[rows][:, None]] = logits[split.token_index(rows)]
    return padded
