"""What people see of masked language modelling."""

from __future__ import annotations

from typing import Any

from kerasft.evaluation.answer_measures import Watched
from kerasft.evaluation.report.kind import Kind
from kerasft.evaluation.report.sections import data, learning_curves, scores_by_split, setup
from kerasft.evaluation.report.text_sections import masked_texts

KIND = Kind(
    name="masked lm",
    scores=("perplexity", "log_loss", "accuracy", "top_5_accuracy"),
    sections=(learning_curves, masked_texts, scores_by_split, data, setup),
)
WATCHED = Watched()  # of texts alone: answers are free text


def samples(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of predictions/ -> the first hidden token of each, right and wrong ones."""
    return [
        {
            "text": mask["around"],
            "truth": mask["truth"],
            "prediction": [f"{fill['token']} {fill['score']:.2f}" for fill in mask["fills"]],
            "score": mask["fills"][0]["score"],
        }
        for mask in (row["masks"][0] for row in answers if row["masks"])
    ]
