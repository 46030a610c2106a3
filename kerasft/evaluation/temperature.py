"""One number that logits are divided by, so that a model is as sure as it is right."""

from __future__ import annotations

import numpy as np

LEAST, MOST = 0.05, 20.0


def fit_temperature(targets: np.ndarray, logits: np.ndarray) -> float:
    """The temperature with the least log loss on these rows (Guo et al. 2017, arXiv:1706.04599).

    Args:
        targets: (rows,) int index of the true label.
        logits: (rows, labels).

    Returns:
        A float32 number between LEAST and MOST, in which a served model divides, too; 1 where none is better, and of
        no rows. More than 1: the model was too sure.
    """
    if not len(targets):
        return 1.0
    from scipy.optimize import minimize_scalar

    logits = logits.astype(np.float64)

    def loss(logarithm: float) -> float:
        return log_loss(targets, logits / np.exp(logarithm))

    best = minimize_scalar(loss, bounds=(np.log(LEAST), np.log(MOST)), method="bounded", options={"xatol": 1e-6})
    temperature = float(np.float32(np.exp(best.x)))
    return temperature if log_loss(targets, logits / temperature) < log_loss(targets, logits) else 1.0


def log_loss(targets: np.ndarray, logits: np.ndarray) -> float:
    """Mean of minus the true labels' log-probabilities, in nats."""
    from scipy.special import log_softmax

    return float(-log_softmax(logits, axis=1)[np.arange(len(targets)), targets].mean())
