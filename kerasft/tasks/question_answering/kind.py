"""What people see of question answering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasft.evaluation.answer_measures import (
    ANSWERED,
    CONFIDENCE,
    LABEL,
    Arrays,
    Measures,
    Row,
    Watched,
    numbers,
)
from kerasft.evaluation.report.console import answers_table
from kerasft.evaluation.report.kind import Kind
from kerasft.evaluation.report.sections import data, learning_curves, scores_by_split, setup
from kerasft.evaluation.report.text_sections import mistakes

KIND = Kind(
    name="question answering",
    scores=("f1", "exact_match", "has_answer_f1", "has_answer_exact_match", "no_answer_f1"),
    sections=(learning_curves, mistakes, scores_by_split, data, setup),
    table=answers_table,
)
NO_ANSWER = "(no answer)"


def wrong_answers(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of predictions/ that are wrong: those that share no word with the truth before those that do.

    Of each the most confident stands first.
    """
    wrong = sorted((row for row in answers if not row["exact_match"]), key=lambda row: (row["f1"] > 0, -row["score"]))
    return [
        {
            "text": row["question"],
            "text_pair": row["context"],
            "truth": row["truth"] or NO_ANSWER,
            "prediction": row["answer"] or NO_ANSWER,
            "score": row["score"],
        }
        for row in wrong
    ]


def _answers(outputs: Arrays, labels: Sequence[str] | None) -> Measures:
    """Whether a question has an answer."""
    answered: list[Row] = [(ANSWERED,) if start >= 0 else () for start in outputs["start"].tolist()]
    return {LABEL: answered, CONFIDENCE: numbers(outputs["score"])}


WATCHED = Watched(_answers)
