"""What searches for changed texts ask of a predictor, and what explanations add to a line about rows and edits."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from kerasft.explain.edits import Ask, fewest_edits, left_out
from kerasft.inference.local import LocalPredictor


def asker(predictor: LocalPredictor, others: dict[str, str] | None = None) -> Ask:
    """Texts, and a label or "" for their own -> the label of each and the score of that one.

    Args:
        predictor: whose answers have a label and probabilities.
        others: inputs that stay as they are, such as the second text of a pair.
    """
    name = predictor.inputs[0]

    def ask(texts: Sequence[str], label: str) -> list[tuple[str, float]]:
        answers = predictor.answer([{**(others or {}), name: text} for text in texts])
        key = "label" if "label" in answers[0] else "relation"
        # Of many labels only the likeliest are told; one that is not among them is as good as gone.
        return [(row[key], row["probabilities"].get(label or row[key], 0.0)) for row in answers]

    return ask


def fewest(predictor: LocalPredictor, row: dict[str, str]) -> dict[str, Any] | None:
    """The fewest words of a row's first text without which the answer is another; None: none were found."""
    others = {name: text for name, text in row.items() if name != predictor.inputs[0]}
    edited = fewest_edits(row[predictor.inputs[0]], asker(predictor, others), left_out)
    return None if edited is None else dataclasses.asdict(edited)
