"""What people see of text classification, by its problem."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.evaluation.answer_measures import (
    CONFIDENCE,
    LABEL,
    MOST_OF_A_ROW,
    VALUE,
    Arrays,
    Measures,
    Watched,
    classified,
    names,
    numbers,
    text,
)
from kerasft.evaluation.report.console import class_table, label_table
from kerasft.evaluation.report.kind import Kind
from kerasft.evaluation.report.sections import CLASSES, NUMBERS, learning_curves

KINDS = {
    "single_label": Kind(
        name="single label",
        scores=(
            "accuracy",
            "macro_f1",
            "weighted_f1",
            "macro_precision",
            "macro_recall",
            "log_loss",
            "expected_calibration_error",
        ),
        sections=(learning_curves, *CLASSES),
        table=label_table,
    ),
    "multi_label": Kind(
        name="multi label",
        scores=(
            "macro_f1",
            "micro_f1",
            "weighted_f1",
            "macro_average_precision",
            "micro_average_precision",
            "subset_accuracy",
            "log_loss",
        ),
        sections=(learning_curves, *CLASSES),
        table=functools.partial(class_table, thresholds=True),
        class_scores=("threshold", "average_precision"),
    ),
    "regression": Kind(
        name="regression",
        scores=("pearson", "spearman", "rmse", "mae"),
        sections=NUMBERS,
        mistakes=("Furthest off", "off by"),
    ),
}


def _answers(outputs: Arrays, labels: Sequence[str] | None) -> Measures:
    if "value" in outputs:
        return {VALUE: numbers(outputs["value"])}
    if "chosen" in outputs and labels:
        answers = [tuple(labels[i] for i in np.flatnonzero(row)[:MOST_OF_A_ROW]) for row in outputs["chosen"]]
    elif "count" in outputs:  # of so many labels that their names stand there
        counts = np.minimum(outputs["count"], MOST_OF_A_ROW).tolist()
        answers = [tuple(map(text, row[:count])) for row, count in zip(outputs["labels"].tolist(), counts)]
    else:
        answers = names(outputs["label"])
    return {LABEL: answers, CONFIDENCE: numbers(outputs["score"])}


def _methods(outputs: Arrays, state: Mapping[str, Any]) -> Measures:
    if "outputs" in outputs:
        return {VALUE: numbers(outputs["outputs"].reshape(-1))}
    return classified(outputs, state)


WATCHED = Watched(_answers, _methods)
