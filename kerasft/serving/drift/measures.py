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

from kerasft.evaluation.answer_measures import ANSWERED, CONFIDENCE, LABEL, Row, numbers

TOKENS, UNKNOWN = "tokens", "unknown_share"
NONE, OTHER = "(none)", "(other)"  # a row without a label; labels that have no bin of their own
MOST_LABELS = 200  # bins of their own; what is rarer is together
DECILES = np.linspace(0.1, 0.9, 9)

# Finer where a trained classifier's confidence lies.
CONFIDENCE_EDGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
TOKEN_EDGES = (1, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048)
UNKNOWN_EDGES = (1e-9, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # the first bin has the rows without any
FIXED_EDGES = {CONFIDENCE: CONFIDENCE_EDGES, TOKENS: TOKEN_EDGES, UNKNOWN: UNKNOWN_EDGES}

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

    def indices(self, rows: Iterable[Row]) -> list[tuple[int, ...]]:
        """Rows -> the bins of each."""
        if not self.labels:
            return [tuple(bisect_right(self.edges, value) for value in row) for row in rows]
        index = {label: bin_index for bin_index, label in enumerate(self.labels)}
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


def text_rows(counts: Mapping[str, np.ndarray]) -> dict[str, list[Row]]:
    """What `token_counts` gives -> what the rows have of the measures of texts."""
    tokens = counts["tokens"]
    rows: dict[str, list[Row]] = {TOKENS: numbers(tokens)}
    if "unknown" in counts:
        rows[UNKNOWN] = numbers(counts["unknown"] / np.maximum(tokens, 1))
    return rows
