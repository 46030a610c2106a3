"""How well hidden tokens are named, from what an evaluation keeps of a masked language model's logits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from kerasft.evaluation.intervals import bootstrap_interval

LARGEST = 700.0  # exp of more is no float64


class Guess(NamedTuple):
    """The likeliest tokens for a hidden one: ids and probabilities, the likeliest first."""

    ids: list[int]
    scores: list[float]


def masked_lm_metrics(targets: np.ndarray, summary: np.ndarray) -> dict[str, Any]:
    """Log loss, perplexity and accuracy over all hidden tokens of a split.

    Args:
        targets: (rows, masks) true ids, or negative: none.
        summary: (rows, masks, 1 + 2 * k), as `kerasft.models.heads.masked_lm.condense` has them.

    Returns:
        log_loss in nats a hidden token, perplexity, accuracy, top_5_accuracy (None where nothing is hidden), rows and
        masked_tokens.
    """
    hidden = targets >= 0
    ids = _ids(summary)
    right = (ids == targets[..., np.newaxis]) & hidden[..., np.newaxis]
    count = int(hidden.sum())
    loss = float(-summary[..., 0][hidden].mean(dtype=np.float64)) if count else None
    return {
        "rows": len(targets),
        "masked_tokens": count,
        "log_loss": loss,
        "perplexity": None if loss is None else math.exp(min(loss, LARGEST)),
        "accuracy": float(right[..., 0].sum() / count) if count else None,
        "top_5_accuracy": float(right.any(-1).sum() / count) if count else None,
    }


def perplexity_interval(targets: np.ndarray, summary: np.ndarray, seed: int) -> dict[str, Any]:
    """The interval of the perplexity over rows; hidden tokens of a row are not drawn one by one, as they share it."""
    hidden = targets >= 0
    losses = np.where(hidden, -summary[..., 0], 0.0).sum(1, dtype=np.float64)
    return bootstrap_interval(perplexity, losses, hidden.sum(1).astype(np.float64), seed=seed)


def guesses(targets: np.ndarray, summary: np.ndarray) -> Iterator[list[Guess]]:
    """For each row the guesses for its hidden tokens."""
    ids = _ids(summary)
    scores = np.exp(summary[..., 1 : 1 + ids.shape[-1]])
    for count, row_ids, row_scores in zip((targets >= 0).sum(1), ids, scores):
        yield [Guess(*both) for both in zip(row_ids[:count].tolist(), row_scores[:count].tolist())]


def _ids(summary: np.ndarray) -> np.ndarray:
    likeliest = (summary.shape[-1] - 1) // 2
    return summary[..., 1 + likeliest :].astype(np.int64)


def perplexity(losses: np.ndarray, counts: np.ndarray) -> float:
    """The perplexity of rows: (rows,) summed nats and (rows,) how many tokens they are of."""
    total = counts.sum()
    return math.exp(min(losses.sum() / total, LARGEST)) if total else math.nan
