"""Probabilities of labels as a server's answers have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.errors import UserError
from kerasft.quoting import cut, listed

SAME = 1e-6  # probabilities that differ by less are alike
WHOLE = 0.01  # how far a sum of probabilities may be from 1
SEVERAL = ("chosen", "count")  # outputs of answers with several labels


def answered_probabilities(
    answers: Sequence[Mapping[str, Any]], labels: Sequence[str], instead: str | None = None
) -> np.ndarray:
    """(rows, labels) float32, which sum to 1: from `probabilities` of all labels, or from those of the likeliest.

    Of the labels that an answer leaves out (`task.top`), each has the same part of what is missing to 1.

    Args:
        answers: of each row what the export of a run with one label a text answers.
        labels: in their order, which must be that of the model on the server.
        instead: the label of an answer to a text that is out of scope.

    Raises:
        UserError: they are answers of another kind, or the labels are others or in another order.
    """
    first = answers[0]
    if several := [name for name in SEVERAL if name in first]:
        raise UserError(f"it answers with several labels ({several[0]}), and a text here has one")
    rows = _of_the_likeliest(answers, labels) if "top_labels" in first else all_probabilities(answers, labels)
    sums = rows.sum(-1)
    furthest = sums[np.abs(sums - 1).argmax()]
    if not abs(furthest - 1) <= WHOLE:  # nor where it is no number
        raise UserError(f"its probabilities of an answer have a sum of {furthest:.2f}, not of 1")
    if "top_labels" not in first:
        check_order(answers, rows, labels, instead)
    return rows


def all_probabilities(answers: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> np.ndarray:
    """(rows, labels) float32 of answers with the `probabilities` of all labels. Raises UserError for others."""
    first = answers[0]
    if "probabilities" not in first or "label" not in first:
        raise UserError(f"it answers with {', '.join(first)}, and not with probabilities of labels")
    rows = np.asarray([answer["probabilities"] for answer in answers], np.float32)
    if rows.shape[1:] != (len(labels),):
        raise UserError(f"it has {rows.shape[-1]} labels, and data.train has {len(labels)}")
    if not np.isfinite(rows).all():
        raise UserError("a probability of its answers is no number")
    return rows


def check_order(
    answers: Sequence[Mapping[str, Any]], rows: np.ndarray, labels: Sequence[str], instead: str | None = None
) -> None:
    """Raises UserError where the label of an answer is not the likeliest one here; `instead` may stand for any."""
    places = {label: place for place, label in enumerate(labels)}
    for row, answer in zip(rows, answers):
        label = answer["label"]
        if label != instead and (label not in places or row[places[label]] < row.max() - SAME):
            raise UserError(
                f"its labels are others than those of data.train, or in another order: an answer is {cut(label)}, "
                f"where {cut(labels[int(row.argmax())])} would be the likeliest here; write them in task.labels as its "
                "own run had them"
            )


def _of_the_likeliest(answers: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> np.ndarray:
    places = {label: place for place, label in enumerate(labels)}
    rows = np.full((len(answers), len(labels)), -1.0, np.float32)
    for row, answer in zip(rows, answers):
        if strange := [label for label in answer["top_labels"] if label not in places]:
            raise UserError(f"it answers with {listed(strange)}, which data.train does not have")
        for label, probability in zip(answer["top_labels"], answer["top_probabilities"]):
            row[places[label]] = probability
        left = row < 0
        row[left] = max(0.0, 1.0 - float(row[~left].sum())) / max(1, int(left.sum()))
    return rows
