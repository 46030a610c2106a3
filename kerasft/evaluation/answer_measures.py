"""What is watched of a model's answers while it is served: a task says which outputs give which measure of a row.

The same code makes the reference of an export and counts what a server answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LABEL, CONFIDENCE, VALUE = "label", "confidence", "value"
ANSWERED = "answered"  # the only label of tasks that find something or do not
MOST_OF_A_ROW = 50  # labels or entities of one row that count

Row = tuple[Any, ...]  # what one row has of a measure: a label or number, several, or none
Measures = dict[str, list[Row]]
Arrays = Mapping[str, np.ndarray]


def nothing(outputs: Arrays, state: Any) -> Measures:
    """Where answers are vectors or free text: only the texts are watched."""
    return {}


@dataclass(frozen=True)
class Watched:
    """What a server watches of a task's answers.

    Attributes:
        answers: outputs of `serving_default` and the names of the labels, where the model has some -> each measure of
            each row.
        methods: outputs of `classify` or `regress` and the task's state -> the same.
    """

    answers: Callable[[Arrays, Sequence[str] | None], Measures] = nothing
    methods: Callable[[Arrays, Mapping[str, Any]], Measures] = nothing


def names(column: np.ndarray) -> list[Row]:
    """(rows,) names -> one of each row; none where it is empty."""
    return [(text(name),) if name else () for name in column.tolist()]


def numbers(column: np.ndarray) -> list[Row]:
    """(rows,) numbers -> one of each row. A model that answers NaN is for other alarms; it has no bin."""
    return [(value,) if np.isfinite(value) else () for value in np.asarray(column, np.float64).tolist()]


def text(name: bytes | str) -> str:
    """A name as Python has it."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


def classified(outputs: Arrays, state: Mapping[str, Any]) -> Measures:
    """Of `classify`: `classes` and `scores`, (rows, labels) each, as labels by the thresholds that a task has learnt.

    Empty where what is out of scope is decided by more than scores.
    """
    if "threshold" in state or "classes" not in outputs:
        return {}
    classes, scores = outputs["classes"], outputs["scores"]
    best = scores.max(axis=1)
    if "thresholds" in state:
        limits = np.asarray(state["thresholds"], np.float32)
        if len(limits) > scores.shape[1]:  # the likeliest labels alone
            of_name = dict(zip(state["labels"], limits))
            limits = np.array([[of_name[text(name)] for name in row] for row in classes], np.float32)
        above = scores >= limits
        rows = [tuple(map(text, row[mask][:MOST_OF_A_ROW])) for row, mask in zip(classes, above)]
        return {LABEL: rows, CONFIDENCE: numbers(best)}
    # A text whose entities are not marked has zeros.
    rows = [(text(row[index]),) if score else () for row, index, score in zip(classes, scores.argmax(axis=1), best)]
    return {LABEL: rows, CONFIDENCE: numbers(best)}
