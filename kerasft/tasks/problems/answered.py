"""Probabilities of labels as a server's answers have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.errors import UserError
from kerasft.quoting import cut, listed

SAME = 1e-6  # probabilities that differ by less are alike


def answered_probabilities(
    answers: Sequence[Mapping[str, Any]], labels: Sequence[str], instead: str | None = None
) -> np.ndarray:
    """(rows, labels) float32, from `probabilities` of all labels, or from those of the likeliest (`task.top`).

    Of the labels that an answer leaves out, each has the same part of what is missing to 1.

    Args:
        answers: of each row what the export of a run of labels answers.
        labels: in their order, which must be that of the model on the server.
        instead: the label of an answer to a text that is out of scope.

    Raises:
        UserError: there are no probabilities, or the labels are others or in another order.
    """
    first = answers[0]
    if "top_labels" in first:
        return _of_the_likeliest(answers, labels)
    if "probabilities" not in first:
        raise UserError(f"it answers with {', '.join(first)}, and has no probabilities of labels")
    rows = np.asarray([answer["probabilities"] for answer in answers], np.float32)
    if rows.shape[1:] != (len(labels),):
        raise UserError(f"it has {rows.shape[-1]} labels, and data.train has {len(labels)}")
    places = {label: place for place, label in enumerate(labels)}
    for row, answer in zip(rows, answers):
        label = answer["label"]
        if label != instead and (label not in places or row[places[label]] < row.max() - SAME):
            raise UserError(
                f"its labels are others than those of data.train, or in another order: an answer is {cut(label)}, "
                f"where {cut(labels[int(row.argmax())])} would be the likeliest here; write them in task.labels as its "
                "own run had them"
            )
    return rows


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
