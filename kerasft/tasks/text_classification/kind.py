"""What people see of text classification, by its problem."""

from __future__ import annotations

import functools

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
