"""A head that learns from its own answers to texts without labels (Scudder 1965; for few labels Xie et al. 2020,
arXiv:1911.04252).

Its answers are probabilities, made surer by a power; they stand beside the labelled rows, which weigh as much in sum.
Vectors stay as they are, so a round is one more logistic regression.
"""

from __future__ import annotations

import numpy as np

from kerasft.training.fitted_head import logistic_regression

ITERATIONS = 15  # of each round, which begins near its end


def self_trained(
    labelled: tuple[np.ndarray, np.ndarray, np.ndarray],
    vectors: np.ndarray,
    head: tuple[np.ndarray, np.ndarray],
    penalty: float,
    toward: np.ndarray | None,
    rounds: int,
    power: float,
) -> tuple[np.ndarray, np.ndarray]:
    """A head after some rounds: (width, classes) kernel and (classes,) bias.

    Args:
        labelled: (rows, width) vectors, (rows,) labels and weights.
        vectors: (texts, width) without labels.
        head: to begin with: kernel and bias.
        penalty, toward: see `logistic_regression`.
        rounds: how many.
        power: probabilities are raised to it: 1: as they are; 2: half way to the likeliest label alone.
    """
    (known, labels, weights), classes = labelled, len(head[1])
    together = np.vstack([known, vectors])
    each = weights / weights.sum() * len(vectors)
    weights = np.concatenate([each, np.ones(len(vectors))]).astype(np.float32)
    for _ in range(rounds):
        kernel, bias = head
        logits = power * (vectors @ kernel + bias)
        odds = np.exp(logits - logits.max(1, keepdims=True))
        shares = np.vstack([np.eye(classes)[labels], odds / odds.sum(1, keepdims=True)]).astype(np.float32)
        head = logistic_regression(together, shares, weights, classes, penalty, toward, ITERATIONS)
    return head
