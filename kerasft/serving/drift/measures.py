"""What is watched of the answers and texts of a served model: each a choice of bins, and the bins of each row.

The same code makes the reference of an export and counts what a server answers. Bins are names and numbers of the
model's own; nothing of a text is in them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LABEL, CONFIDENCE, VALUE, TOKENS, UNKNOWN = "label", "confidence", "value", "tokens", "unknown_share"
ANSWERED = "answered"  # a question; the others are (none)
NONE, OTHER = "(none)", "(other)"  # a row without a label; labels that have no bin of their own
MOST_LABELS = 200  # bins of their own; what is rarer is together
MOST_OF_A_ROW = 50  # labels or entities of one row that count
DECILES = np.linspace(0.1, 0.9, 9)

# Finer where a trained classifier's confidence lies.
CONFIDENCE_EDGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
TOKEN_EDGES = (1, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048)
UNKNOWN_EDGES = (1e-9, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # the first bin has the rows without any
FIXED_EDGES = {CONFIDENCE: CONFIDENCE_EDGES, TOKENS: TOKEN_EDGES, UNKNOWN: UNKNOWN_EDGES}

Row = tuple[Any, ...]  # what one row has of a measure: a label or number, several, or none
Rows = Mapping[str, Sequence[Row]]


@dataclass(frozen=True)
class Bins:
    """Where the values of a measure are counted.

    Args:
        labels: names, one bin each, then (none) and (other); or
        edges: rising numbers; a bin begins at one and ends before the next.
    """

    labels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    @property
    def names(self) -> list[str]:
        """One a bin, for people."""
        if self.labels:
            return [*self.labels, NONE, OTHER]
        ends = [f"{edge:g}" for edge in self.edges]
        return [f"below {ends[0]}", *map("-".join, zip(ends, ends[1:])), f"from {ends[-1]}"]

    def __len__(self) -> int:
        return len(self.labels) + 2 if self.labels else len(self.edges) + 1

    def places(self, rows: Iterable[Row]) -> list[tuple[int, ...]]:
        """Rows -> the bins of each."""
        if not self.labels:
            return [tuple(bisect_right(self.edges, value) for value in row) for row in rows]
        index = {label: place for place, label in enumerate(self.labels)}
        none, other = len(self.labels), len(self.labels) + 1
        return [tuple(index.get(label, other) for label in row) or (none,) for row in rows]

    def as_json(self) -> dict[str, Any]:
        return {"labels": list(self.labels)} if self.labels else {"edges": list(self.edges)}

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Bins:
        return cls(tuple(value.get("labels", ())), tuple(value.get("edges", ())))


def choose_bins(measure: str, rows: Sequence[Row]) -> Bins | None:
    """The bins of a measure: fixed ones, the most frequent labels, or the deciles of a predicted number.

    Args:
        measure: one of the names above.
        rows: of the reference.

    Returns:
        None where the rows give nothing to choose by.
    """
    if measure in FIXED_EDGES:
        return Bins(edges=FIXED_EDGES[measure])
    values = [value for row in rows for value in row]
    if not values:
        return None
    if measure == LABEL:
        return Bins(labels=tuple(sorted(label for label, _ in Counter(values).most_common(MOST_LABELS))))
    return Bins(edges=tuple(np.unique(np.quantile(np.asarray(values, np.float64), DECILES)).tolist()))


def plain_bins(labels: Sequence[str] | None) -> dict[str, Bins]:
    """The bins of an export without a reference; a predicted number has none, for its range is not known."""
    fixed = {measure: Bins(edges=edges) for measure, edges in FIXED_EDGES.items()}
    return {LABEL: Bins(labels=tuple((labels or [ANSWERED])[:MOST_LABELS]))} | fixed


def answer_rows(outputs: Mapping[str, np.ndarray], labels: Sequence[str] | None) -> dict[str, list[Row]]:
    """Answers of one of this program's servables -> what their rows have of each measure.

    Args:
        outputs: of `serving_default`, as the tasks name them.
        labels: names of the classes, where the model has some.
    """
    if "types" in outputs:
        return _entities(outputs)
    if "chosen" in outputs and labels:
        chosen = [tuple(labels[i] for i in np.flatnonzero(row)[:MOST_OF_A_ROW]) for row in outputs["chosen"]]
        return {LABEL: chosen, CONFIDENCE: _numbers(outputs["score"])}
    if "labels" in outputs and "count" in outputs:  # of so many labels that their names stand there
        counts = np.minimum(outputs["count"], MOST_OF_A_ROW).tolist()
        names = [tuple(map(_text, row[:count])) for row, count in zip(outputs["labels"].tolist(), counts)]
        return {LABEL: names, CONFIDENCE: _numbers(outputs["score"])}
    for name in ("label", "relation"):
        if name in outputs:
            return {LABEL: _names(outputs[name]), CONFIDENCE: _numbers(outputs["score"])}
    if "start" in outputs and "score" in outputs:
        answered = [(ANSWERED,) if start >= 0 else () for start in outputs["start"].tolist()]
        return {LABEL: answered, CONFIDENCE: _numbers(outputs["score"])}
    if "value" in outputs:
        return {VALUE: _numbers(outputs["value"])}
    return {}


def method_rows(outputs: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> dict[str, list[Row]]:
    """As `answer_rows`, of the outputs of `classify` or `regress`.

    Args:
        outputs: `classes` and `scores`, or `outputs`.
        state: what the task learnt, by whose thresholds scores become labels.
    """
    if "outputs" in outputs:
        return {VALUE: _numbers(outputs["outputs"].reshape(-1))}
    if "threshold" in state or "classes" not in outputs:
        return {}
    names, scores = outputs["classes"], outputs["scores"]
    best = scores.max(axis=1)
    if "thresholds" in state:
        limits = np.asarray(state["thresholds"], np.float32)
        if len(limits) > scores.shape[1]:  # the likeliest labels alone
            of_name = dict(zip(state["labels"], limits))
            limits = np.array([[of_name[_text(name)] for name in row] for row in names], np.float32)
        chosen = scores >= limits
        rows = [tuple(map(_text, row[mask][:MOST_OF_A_ROW])) for row, mask in zip(names, chosen)]
        return {LABEL: rows, CONFIDENCE: _numbers(best)}
    # A text whose entities are not marked has zeros.
    rows = [(_text(row[place]),) if score else () for row, place, score in zip(names, scores.argmax(axis=1), best)]
    return {LABEL: rows, CONFIDENCE: _numbers(best)}


def text_rows(counts: Mapping[str, np.ndarray]) -> dict[str, list[Row]]:
    """What `token_counts` gives -> what the rows have of the measures of texts."""
    tokens = counts["tokens"]
    found: dict[str, list[Row]] = {TOKENS: _numbers(tokens)}
    if "unknown" in counts:
        found[UNKNOWN] = _numbers(counts["unknown"] / np.maximum(tokens, 1))
    return found


def _entities(outputs: Mapping[str, np.ndarray]) -> dict[str, list[Row]]:
    counts = np.minimum(outputs["count"], MOST_OF_A_ROW).tolist()
    types = [tuple(_text(name) for name in row[:count]) for row, count in zip(outputs["types"].tolist(), counts)]
    scores = [tuple(row[:count]) for row, count in zip(outputs["scores"].tolist(), counts)]
    return {LABEL: types, CONFIDENCE: scores}


def _names(column: np.ndarray) -> list[Row]:
    return [(_text(name),) if name else () for name in column.tolist()]


def _numbers(column: np.ndarray) -> list[Row]:
    # A model that answers NaN is for other alarms; it has no bin.
    return [(value,) if np.isfinite(value) else () for value in np.asarray(column, np.float64).tolist()]


def _text(name: bytes | str) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
