"""What people see of relation extraction."""

from __future__ import annotations

from kerasft.evaluation.report.console import relations_table
from kerasft.evaluation.report.kind import Kind
from kerasft.evaluation.report.label_sections import per_relation
from kerasft.evaluation.report.sections import CLASSES, learning_curves

KIND = Kind(
    name="relation extraction",
    scores=("f1", "precision", "recall", "accuracy", "macro_f1", "log_loss", "expected_calibration_error"),
    sections=(learning_curves, per_relation, *CLASSES),
    table=relations_table,
)
