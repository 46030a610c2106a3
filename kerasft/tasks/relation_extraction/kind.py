"""What people see of relation extraction."""

from __future__ import annotations

from collections.abc import Sequence

from kerasft.evaluation.answer_measures import (
    CONFIDENCE,
    LABEL,
    Arrays,
    Measures,
    Watched,
    classified,
    names,
    numbers,
)
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


def _answers(outputs: Arrays, labels: Sequence[str] | None) -> Measures:
    """A text whose entities are not well marked has no relation."""
    return {LABEL: names(outputs["relation"]), CONFIDENCE: numbers(outputs["score"])}


WATCHED = Watched(_answers, classified)
