"""What people see of token classification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.evaluation.answer_measures import (
    CONFIDENCE,
    LABEL,
    MOST_OF_A_ROW,
    Arrays,
    Measures,
    Watched,
    text,
)
from kerasft.evaluation.report.class_sections import per_class, per_tag
from kerasft.evaluation.report.console import class_table
from kerasft.evaluation.report.kind import Kind
from kerasft.evaluation.report.sections import data, learning_curves, scores_by_split, setup
from kerasft.evaluation.report.text_sections import mistakes

KIND = Kind(
    name="token classification",
    scores=("f1", "precision", "recall", "macro_f1", "weighted_f1"),
    sections=(learning_curves, per_class, per_tag, mistakes, scores_by_split, data, setup),
    table=class_table,
)
_FIELDS = ("start", "end", "type")


def wrong_texts(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of predictions/ -> texts with a wrong entity, or without a true one, the surest wrong one first."""
    mistakes = []
    for row in answers:
        true, predicted = ({_key(entity) for entity in row[name]} for name in ("truth", "entities"))
        wrong = [entity for entity in row["entities"] if _key(entity) not in true]
        if true != predicted:
            truth, prediction = (
                [f"{entity['text']} ({entity['type']})" for entity in row[name]] for name in ("truth", "entities")
            )
            score = max((entity["score"] for entity in wrong), default=0.0)
            mistakes.append({"text": row["text"], "truth": truth, "prediction": prediction, "score": score})
    return sorted(mistakes, key=lambda mistake: -mistake["score"])


def _key(entity: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(entity[key] for key in _FIELDS)


def _answers(outputs: Arrays, labels: Sequence[str] | None) -> Measures:
    """Type and score of each entity."""
    counts = np.minimum(outputs["count"], MOST_OF_A_ROW).tolist()
    types = [tuple(text(name) for name in row[:count]) for row, count in zip(outputs["types"].tolist(), counts)]
    scores = [tuple(row[:count]) for row, count in zip(outputs["scores"].tolist(), counts)]
    return {LABEL: types, CONFIDENCE: scores}


WATCHED = Watched(_answers)
