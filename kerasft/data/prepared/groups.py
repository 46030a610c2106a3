"""Splits whose examples have several texts, each of which the model reads by itself."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasft.data.prepared.prepared import Prepared, prepare
from kerasft.data.tables.table import Table


@dataclass(frozen=True)
class GroupedPrepared(Prepared):
    """The texts of an example follow one another in `features`, `offsets` and `full_lengths`; the rest is by example.

    Attributes:
        group: texts of an example, an axis of their own in a batch.
    """

    group: int = 2

    @property
    def truncated(self) -> float:
        """The share of texts that lost tokens."""
        return self._each.truncated

    @property
    def feature_shape(self) -> tuple[int | None, ...]:
        return (self.group, None)

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """(rows,) tokens of each example, all its texts together."""
        return np.diff(self.offsets[:: self.group])

    @functools.cached_property
    def text_lengths(self) -> np.ndarray:
        return np.diff(self.offsets).reshape(-1, self.group)

    @functools.cached_property
    def _each(self) -> Prepared:
        texts = len(self.offsets) - 1
        nothing = np.broadcast_to(np.float32(0), (texts,))
        return Prepared(self.features, self.offsets, self.full_lengths, nothing, nothing, self.pad_values, self.longest)

    def __len__(self) -> int:
        return len(self.targets)

    def batch(
        self, rows: np.ndarray, static: bool = False, padded_with: np.ndarray | None = None
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """As `Prepared.batch`, -> name -> (batch, group, length), all texts padded to the longest of them."""
        real, rows = rows >= 0, np.maximum(rows, 0)
        each, _, _ = self._each.batch(
            self._texts(rows), static, None if padded_with is None else self._texts(padded_with)
        )
        features = {name: values.reshape(len(rows), self.group, -1) for name, values in each.items()}
        return features, self.targets[rows], self.weights[rows] * real.astype(np.float32)

    def _texts(self, rows: np.ndarray) -> np.ndarray:
        """(rows,) examples -> (rows * group,) texts."""
        return (np.maximum(rows, 0)[:, None] * self.group + np.arange(self.group)).reshape(-1)


def prepare_groups(
    table: Table, preprocessor: Any, columns: Sequence[str], targets: np.ndarray, weights: np.ndarray
) -> GroupedPrepared:
    """As `prepare`, with each of several columns as a text of its own.

    Args:
        table: has these columns.
        preprocessor: of one string column.
        columns: names of the texts of an example.
        targets: (rows, ...).
        weights: (rows,).
    """
    nothing = np.broadcast_to(np.float32(0), (len(table) * len(columns),))
    each = prepare(_OneColumn(table, columns), preprocessor, nothing, nothing)
    return GroupedPrepared(
        each.features,
        each.offsets,
        each.full_lengths,
        targets,
        weights,
        each.pad_values,
        each.longest,
        group=len(columns),
    )


class _OneColumn:
    """A table's text columns as one: row after row, the texts of a row beside each other."""

    def __init__(self, table: Table, columns: Sequence[str]):
        self.table, self.columns = table, list(columns)

    def batches(self, size: int, names: Sequence[str]) -> Iterator[dict[str, list[str]]]:
        (name,) = names
        for batch in self.table.batches(size, self.columns):
            yield {name: [text for row in zip(*(batch[column] for column in self.columns)) for text in row]}
