"""Which logits stand behind an answer: that of its first token and that of its last, apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.errors import UserError
from kerasft.tasks.base.declarations import Explained

SIDES = ("start", "end")


def explained_answers(
    answers: Sequence[Mapping[str, Any]],
    logits: np.ndarray,
    features: Mapping[str, np.ndarray],
    label: str | None,
    contrast: str | None,
) -> list[list[Explained]]:
    """Two explanations for each question: of where its answer starts, and of where it ends.

    Where the answer is that there is none, both are of the token that stands for that, in the window that says so.

    Args:
        answers: `answer`, `start` and `end` of each question.
        logits: (windows, length, 2).
        features: `starts`, `ends`, `owned`, `null` and `windows` of `QuestionPreprocessor`.
        label, contrast: None: an answer is a place, and has no label.

    Raises:
        UserError: a label or a contrast is given.
    """
    if label is not None or contrast is not None:
        raise UserError("--label and --contrast: for labels, and an answer is a part of a text; leave them out")
    first = np.concatenate([[0], np.cumsum(features["windows"])])
    found = []
    for number, answer in enumerate(answers):
        windows = np.arange(first[number], first[number + 1])
        places = _places(answer, logits, features, windows)
        one = np.ones(1)
        found.append(
            [
                Explained(answer["answer"], row, np.array([[token, side]]), one, {"of": SIDES[side]})
                for side, (row, token) in enumerate(places)
            ]
        )
    return found


def _places(
    answer: Mapping[str, Any], logits: np.ndarray, features: Mapping[str, np.ndarray], windows: np.ndarray
) -> list[tuple[int, int]]:
    """(window, token) of the answer's first and last token."""
    if answer["start"] < 0:
        null = np.where(features["null"][windows], logits[windows].sum(-1), 0.0).sum(1)
        row = int(windows[null.argmin()])
        token = int(features["null"][row].argmax())
        return [(row, token)] * 2
    opens = (features["starts"][windows] == answer["start"]) & features["owned"][windows]
    row = int(windows[opens.any(1).argmax()])
    last = np.flatnonzero(features["ends"][row] == answer["end"])
    return [(row, int(opens[row - windows[0]].argmax())), (row, int(last[-1]))]
