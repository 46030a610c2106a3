"""Which logits stand behind a label: what an explanation of it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.errors import UserError
from kerasft.quoting import cut, listed
from kerasft.tasks.base.declarations import Explained
from kerasft.tasks.problems.names import identity, indices

RUNNER_UP = ""  # as the name of what an answer is held against: the next likeliest; no label is called so


def index_of(name: str, labels: Sequence[str], option: str) -> int:
    """The logit of a label that a user names. Raises UserError where the model has none."""
    found = indices(labels).get(identity(name))
    if found is None:
        raise UserError(f"{option} {cut(name)}: the model has no logit of that name; there are: {listed(labels)}")
    return found


def explained_labels(
    logits: np.ndarray,
    labels: Sequence[str],
    label: str | None,
    contrast: str | None,
    chosen: Sequence[Sequence[int]] | None = None,
) -> list[list[Explained]]:
    """One explanation for each label that a text was given.

    Args:
        logits: (batch, labels).
        labels: their names.
        label: explained instead of the answer.
        contrast: why the label and not this one, the difference of two logits; RUNNER_UP: the next likeliest.
        chosen: the labels of each text; None: its likeliest.
    """
    wished = None if label is None else index_of(label, labels, "--label")
    against = None if contrast in (None, RUNNER_UP) else index_of(contrast, labels, "--contrast")
    best = [[int(row.argmax())] for row in logits] if chosen is None else chosen
    found = []
    for row, scores in enumerate(logits):
        each = best[row] if wished is None else [wished]
        found.append([_one(row, scores, one, labels, contrast, against) for one in each])
    return found


def _one(
    row: int, scores: np.ndarray, one: int, labels: Sequence[str], contrast: str | None, against: int | None
) -> Explained:
    if contrast is None:
        return Explained(labels[one], row, np.array([[one]]), np.ones(1))
    if contrast == RUNNER_UP:
        against = int(next(other for other in np.argsort(-scores, kind="stable") if other != one))
    assert against is not None  # the caller looked it up
    facts: dict[str, Any] = {"contrast": labels[against]}
    return Explained(labels[one], row, np.array([[one], [against]]), np.array([1.0, -1.0]), facts)
