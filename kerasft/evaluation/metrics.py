"""Metrics of a whole split, from targets and probabilities to a JSON-able dict. No TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.errors import UserError
from kerasft.evaluation.calibration import expected_calibration_error, reliability_bins
from kerasft.evaluation.scores import (
    Counts,
    averaged_scores,
    confusions,
    decisions,
    multi_label_counts,
    pearson,
    per_class_scores,
    single_label_counts,
    spearman,
)


def single_label_metrics(targets: np.ndarray, probabilities: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """Scores of a classifier that gives each text exactly one label; the prediction is the likeliest one.

    Macro averages run over the classes that occur in the truth or in the predictions, as
    scikit-learn's `f1_score(average="macro")` does by default and so as most published figures
    do; `classes_averaged` says how many those are. A class that occurs in neither has None for
    its scores. A class that occurs in one of them only scores 0.

    Args:
        targets: (n,) int, index of the true label.
        probabilities: (n, c) float, rows sum to 1.
        labels: c names.

    Returns:
        accuracy; {macro,micro,weighted}_{precision,recall,f1}; log_loss in nats;
        expected_calibration_error (15 equal-width bins, Guo et al. 2017, arXiv:1706.04599); mean_confidence;
        per_class; reliability; rows; classes_averaged; what `confusions` gives.

    Raises:
        ValueError: the shapes do not belong together.
        UserError: some probabilities are not finite: the training diverged.
    """
    probabilities = _checked_probabilities(probabilities, len(labels), len(targets))
    return decision_metrics(targets, probabilities.argmax(axis=1), labels) | confidence_metrics(targets, probabilities)


def decision_metrics(targets: np.ndarray, predictions: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """What `single_label_metrics` says of the answers alone, however they were chosen.

    Args:
        targets: (n,) int, index of the true label.
        predictions: (n,) int, index of the answer.
        labels: c names.
    """
    targets = np.asarray(targets)
    if targets.shape != (len(targets),) or targets.min() < 0 or targets.max() >= len(labels):
        raise ValueError(f"targets: shape {targets.shape}, values must be indices below {len(labels)}, one a row")
    counts = single_label_counts(targets, predictions, len(labels))
    return {
        "rows": len(targets),
        "accuracy": float((predictions == targets).mean()),
        **{name: _number_or_none(value) for name, value in averaged_scores(counts).items()},
        "classes_averaged": int(((counts.support + counts.predicted) > 0).sum()),
        "per_class": _per_class(labels, counts),
        **confusions(targets, predictions, labels),
    }


def confidence_metrics(targets: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """What `single_label_metrics` says of the probabilities; its arguments, without the names."""
    targets = np.asarray(targets)
    probabilities = _checked_probabilities(probabilities, np.shape(probabilities)[-1], len(targets))
    confidences = probabilities.max(axis=1)
    bins = reliability_bins(confidences, probabilities.argmax(axis=1) == targets)
    return {
        "log_loss": float(-np.log(_clipped(probabilities)[np.arange(len(targets)), targets]).mean()),
        "expected_calibration_error": expected_calibration_error(bins),
        "mean_confidence": float(confidences.mean()),
        "reliability": bins,
    }


def multi_label_metrics(
    targets: np.ndarray, probabilities: np.ndarray, labels: Sequence[str], thresholds: np.ndarray
) -> dict[str, Any]:
    """Scores of a classifier that gives each text any number of labels: those whose probability reaches a threshold.

    Macro and weighted averages follow `single_label_metrics`: over the classes that occur in the
    truth or in the predictions. Macro average precision runs over the classes that occur in the
    truth, for without a positive there is nothing to rank.

    Args:
        targets: (n, c) of 0 and 1.
        probabilities: (n, c) float, each between 0 and 1.
        labels: c names.
        thresholds: (c,) a label is predicted where its probability is >= its threshold.

    Returns:
        {macro,micro,weighted}_{precision,recall,f1}; {macro,micro}_average_precision;
        subset_accuracy (the share of rows with every label right); log_loss in nats, the mean
        over all n x c decisions; per_class (with threshold and average_precision); rows; classes_averaged.

    Raises:
        ValueError: the shapes do not belong together.
        UserError: some probabilities are not finite: the training diverged.
    """
    targets = np.asarray(targets)
    probabilities = _checked_probabilities(probabilities, len(labels), len(targets))
    thresholds = np.asarray(thresholds, np.float64)
    if targets.shape != probabilities.shape or thresholds.shape != (len(labels),):
        raise ValueError(
            f"targets {targets.shape}, probabilities {probabilities.shape} and thresholds {thresholds.shape} "
            f"do not belong together for {len(labels)} labels"
        )
    truth, predictions = targets.astype(bool), decisions(probabilities, thresholds)
    counts = multi_label_counts(truth, predictions)
    average_precision = _average_precision(truth, probabilities)
    clipped = _clipped(probabilities)
    per_class = _per_class(labels, counts)
    for index, row in enumerate(per_class.values()):
        row["threshold"] = float(thresholds[index])
        row["average_precision"] = _number_or_none(average_precision[index])
    return {
        "rows": len(targets),
        **{name: _number_or_none(value) for name, value in averaged_scores(counts).items()},
        "macro_average_precision": _number_or_none(float(np.nanmean(average_precision))) if truth.any() else None,
        "micro_average_precision": _number_or_none(
            _average_precision(truth.reshape(-1, 1), probabilities.reshape(-1, 1))[0]
        ),
        "subset_accuracy": float((predictions == truth).all(axis=1).mean()),
        "log_loss": float(-np.where(truth, np.log(clipped), np.log1p(-clipped)).mean()),
        "classes_averaged": int(((counts.support + counts.predicted) > 0).sum()),
        "per_class": per_class,
    }


def regression_metrics(targets: np.ndarray, predictions: np.ndarray) -> dict[str, Any]:
    """Scores of predicted numbers.

    Args:
        targets: (n,) float, in the data's own unit.
        predictions: (n,) float, in the same unit.

    Returns:
        pearson and spearman, None where targets or predictions are constant (so also for one row); rmse and mae
        in the data's unit; rows.

    Raises:
        ValueError: the shapes differ, or there is no row.
        UserError: some predictions are not finite: the training diverged.
    """
    targets = np.asarray(targets, np.float64)
    predictions = np.asarray(predictions, np.float64)
    if targets.ndim != 1 or targets.shape != predictions.shape or not len(targets):
        raise ValueError(f"targets {targets.shape} and predictions {predictions.shape} must be one row or more, alike")
    check_finite(predictions, "predictions")
    errors = predictions - targets
    return {
        "rows": len(targets),
        "pearson": _number_or_none(pearson(targets, predictions)),
        "spearman": _number_or_none(spearman(targets, predictions)),
        "rmse": float(np.sqrt((errors**2).mean())),
        "mae": float(np.abs(errors).mean()),
    }


def similarity_metrics(targets: np.ndarray, cosines: np.ndarray) -> dict[str, Any]:
    """Whether the cosine of two texts rises with the score that people gave them.

    Args:
        targets: (n,) float, on any scale.
        cosines: (n,) float.

    Returns:
        spearman and pearson, None where targets or cosines are constant; rows.

    Raises:
        UserError: some cosines are not finite: the training diverged.
    """
    check_finite(cosines, "cosines")
    return {
        "rows": len(targets),
        "spearman": _number_or_none(spearman(targets, cosines)),
        "pearson": _number_or_none(pearson(targets, cosines)),
    }


def averages_and_classes(counts: Counts, labels: Sequence[str]) -> dict[str, Any]:
    """{macro,micro,weighted}_{precision,recall,f1}, per_class and classes_averaged, as in `single_label_metrics`."""
    return {
        **{name: _number_or_none(value) for name, value in averaged_scores(counts).items()},
        "classes_averaged": int(((counts.support + counts.predicted) > 0).sum()),
        "per_class": _per_class(labels, counts),
    }


def _number_or_none(value: float) -> float | None:
    """A plain float; None for NaN, which JSON cannot say."""
    return float(value) if math.isfinite(value) else None


def _per_class(labels: Sequence[str], counts: Counts) -> dict[str, dict[str, Any]]:
    if len(set(labels)) != len(labels):
        raise ValueError("labels: a name occurs twice")
    scores = per_class_scores(counts)
    return {
        label: {
            **{name: _number_or_none(values[index]) for name, values in scores.items()},
            "support": int(counts.support[index]),
        }
        for index, label in enumerate(labels)
    }


def _average_precision(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(n, c), (n, c) -> (c,); NaN for a class without a positive."""
    from sklearn.metrics import (
        average_precision_score,
    )  # a second to import, see scores.spearman

    result = np.full(truth.shape[1], math.nan)
    for index in np.flatnonzero(truth.any(axis=0)):
        result[index] = average_precision_score(truth[:, index], probabilities[:, index])
    return result


def _checked_probabilities(probabilities: np.ndarray, classes: int, rows: int) -> np.ndarray:
    probabilities = np.asarray(probabilities)
    if probabilities.shape != (rows, classes) or not rows:
        raise ValueError(f"probabilities: shape {probabilities.shape}; ({rows}, {classes}) expected, one row or more")
    check_finite(probabilities, "probabilities")
    return probabilities


def check_finite(values: np.ndarray, name: str) -> None:
    """(rows, ...) model outputs. Raises UserError that says how many rows are not finite."""
    broken = int((~np.isfinite(values.reshape(len(values), -1))).any(axis=1).sum())
    if broken:
        raise UserError(
            f"evaluation: {broken} of {len(values)} rows have {name} that are not finite: the training diverged; "
            "lower training.optimizer.learning_rate, or set training.optimizer.clip_norm"
        )


def _clipped(probabilities: np.ndarray) -> np.ndarray:
    """Away from 0 and 1 by the dtype's epsilon, as in scikit-learn's log_loss: one sure error stays finite."""
    dtype = probabilities.dtype if probabilities.dtype.kind == "f" else np.dtype(np.float64)
    epsilon = float(np.finfo(dtype).eps)
    return np.clip(probabilities.astype(np.float64), epsilon, 1 - epsilon)
