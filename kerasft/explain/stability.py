"""Do explanations stay where the last layer is another one that learnt the same? Else small differences say nothing.

The new layer is a logistic regression on the vectors of a bootstrap sample of training rows; the rest stays.
Explanations of the same label under both are compared by the rank correlation of their words (Spearman 1904).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasft.attribution.base import Attributed, Question
from kerasft.attribution.registry import create
from kerasft.attribution.vectors import VectorModel
from kerasft.evaluation.intervals import bootstrap_interval
from kerasft.models.heads.text_classifier import HEAD
from kerasft.training.fitted_head import logistic_regression, set_head

FEWEST_WORDS = 3  # of a text: of fewer an order says little


@contextlib.contextmanager
def new_head(model: keras.Model, vectors: np.ndarray, targets: np.ndarray, seed: int) -> Iterator[None]:
    """The model has another last layer inside.

    Args:
        model: of one label a text, whose last layer is a Dense one named HEAD.
        vectors: (rows, width) what that layer reads of training rows.
        targets: (rows,) their labels, as numbers.
        seed: of the bootstrap sample.
    """
    before = [weight.numpy() for weight in model.get_layer(HEAD).weights]
    sample = np.random.default_rng(seed).integers(0, len(vectors), len(vectors))
    rows, labels = vectors[sample].astype(np.float32), targets[sample]
    weights = np.ones(len(rows), np.float32)
    set_head(model, *logistic_regression(rows, labels, weights, model.get_layer(HEAD).units))
    try:
        yield
    finally:
        set_head(model, *before)


def stability(
    model: VectorModel, questions: Sequence[Question], results: Mapping[str, Sequence[Attributed]], seed: int
) -> dict[str, Any]:
    """Method -> the mean rank correlation of its explanations with those under the head that the model has now.

    Args:
        model: with a new head.
        questions: the same as before.
        results: method -> explanations before.
        seed: of the intervals.
    """
    found = {}
    for name, before in results.items():
        after = create(name).attribute(model, questions)
        each = [
            rank_correlation(old.words[question.read()], new.words[question.read()])
            for question, old, new in zip(questions, before, after, strict=True)
        ]
        values = np.array([value for value in each if value is not None])
        if len(values):
            interval = bootstrap_interval(lambda sample: float(sample.mean()), values, seed=seed)
            found[name] = {"value": float(values.mean()), "low": interval["low"], "high": interval["high"]}
    return found


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman's; None for fewer than FEWEST_WORDS words, or where all are alike."""
    if len(one) < FEWEST_WORDS or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(one, other)[0])
