"""Stretches of many texts, in columns."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Rows = Sequence[Sequence[int]]


class Spans(NamedTuple):
    """Stretches of many texts, in order of texts and places: (spans,) each.

    Attributes:
        texts: number of the text.
        starts, ends: code points.
        types: number of the type; all 0 where there are no types.
    """

    texts: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    types: np.ndarray

    def by_text(self, texts: int) -> list[np.ndarray]:
        """Numbers of the spans of each of so many texts."""
        ends = np.cumsum(np.bincount(self.texts, minlength=texts))
        return np.split(np.arange(len(self.texts)), ends[:-1])

    @classmethod
    def of_rows(
        cls,
        starts: Sequence[Sequence[int]],
        ends: Sequence[Sequence[int]],
        types: Sequence[Sequence[int]] | None = None,
    ) -> Spans:
        """A list for each text -> one for all."""
        texts = np.repeat(np.arange(len(starts)), [len(row) for row in starts])
        flat = [np.fromiter(itertools.chain.from_iterable(rows), np.int64) for rows in (starts, ends, types or ())]
        if types is None:
            flat[-1] = np.zeros(len(texts), np.int64)
        return cls(texts, *flat)
