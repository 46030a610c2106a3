"""How well the tokens that follow are foreseen, from what an evaluation keeps of a causal language model's logits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasft.evaluation.intervals import bootstrap_interval
from kerasft.evaluation.masked_lm_metrics import LARGEST, perplexity


def causal_lm_metrics(targets: np.ndarray, summary: np.ndarray, rows: int, text_bytes: int) -> dict[str, Any]:
    """Log loss, perplexity, bits per byte and accuracy over all tokens of a split that are to be said.

    Args:
        targets: (tokens,) ids, or negative: nothing is to be said.
        summary: (tokens, 2), as `kerasft.models.heads.causal_lm.condense` has them.
        rows: how many rows the model read the tokens in; one of the figures.
        text_bytes: UTF-8 bytes of the texts that the targets spell; what ends a text counts in the loss, not here.

    Returns:
        rows, tokens, log_loss in nats a token, perplexity, bits_per_byte, accuracy.
    """
    has_target = targets >= 0
    losses = -summary[has_target, 0].astype(np.float64)
    loss = float(losses.mean()) if len(losses) else None
    return {
        "rows": rows,
        "tokens": int(has_target.sum()),
        "log_loss": loss,
        "perplexity": None if loss is None else math.exp(min(loss, LARGEST)),
        "bits_per_byte": float(losses.sum() / math.log(2) / text_bytes) if text_bytes else None,
        "accuracy": float(summary[has_target, 1].mean()) if len(losses) else None,
    }


def perplexity_interval(targets: np.ndarray, summary: np.ndarray, offsets: np.ndarray, seed: int) -> dict[str, Any]:
    """The interval of the perplexity over rows, which share what stands before their tokens.

    Args:
        targets, kept: as above.
        offsets: (rows + 1,) where each row starts.
        seed: of the resampling.
    """
    has_target = targets >= 0
    losses = np.add.reduceat(np.where(has_target, -summary[:, 0], 0.0).astype(np.float64), offsets[:-1])
    counts = np.add.reduceat(has_target.astype(np.float64), offsets[:-1])
    return bootstrap_interval(perplexity, losses, counts, seed=seed)
