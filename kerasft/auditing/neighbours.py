"""Which labels the nearest rows have (k nearest neighbours, Cover and Hart 1967)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

AT_ONCE = 1 << 24  # similarities that are held at a time
# Words, and each character by itself where a script has no spaces.
_CHARACTER = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
WORD = re.compile(rf"[{_CHARACTER}]|[^\W{_CHARACTER}]+")
MOST_ROWS = 0.2  # a word that a larger share of the rows has says little, and takes the most time


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows of each row.

    Attributes:
        nearest: (rows, count) their numbers.
        weights: (rows, count) how much each counts; each row's sum is 1.
        sets: (rows, classes) 1 where a row has a class.
    """

    nearest: np.ndarray
    weights: np.ndarray
    sets: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """(rows, classes) the share of a row's nearest rows that have each class."""
        return self.mean(self.sets)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(rows, classes) the weighted mean over the nearest rows of values (rows, classes) of each."""
        result, block = np.empty(values.shape), max(1, AT_ONCE // (self.nearest.shape[1] * values.shape[1]))
        for start in range(0, len(values), block):
            own = slice(start, start + block)
            result[own] = np.einsum("bn,bnk->bk", self.weights[own], values[self.nearest[own]])
        return result


def nearest_rows(
    vectors: np.ndarray, texts: Sequence[str], sets: np.ndarray, groups: np.ndarray, count: int
) -> Neighbours | None:
    """The rows that are nearest to each, nearer ones counting more.

    Two rows are as near as the mean of two cosines says: of their vectors, once the mean of all is taken off, and of
    their words (TF-IDF). The two err at different rows. A neighbour weighs as much as this squared.

    Args:
        vectors: (rows, width).
        texts: (rows,).
        sets: (rows, classes) 1 where a row has a class.
        groups: (rows,) the same number where rows are copies: they are no neighbours of each other.
        count: of neighbours.

    Returns:
        None where rows have no neighbours but copies of themselves.
    """
    rows = len(vectors)
    count = min(count, rows - int(np.bincount(groups).max()))  # what every row has
    if count < 1:
        return None
    centred = vectors.astype(np.float32) - vectors.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    words = word_weights(texts)
    nearest, weights = np.empty((rows, count), np.int64), np.empty((rows, count))
    block = max(1, AT_ONCE // rows)
    for start in range(0, rows, block):
        own = slice(start, min(start + block, rows))
        near = unit[own] @ unit.T  # (block, rows)
        if words is not None:
            near = (near + (words[own] @ words.T).toarray()) / 2
        near[groups[own, None] == groups[None]] = -2.0
        nearest[own] = np.argpartition(-near, count - 1, axis=1)[:, :count]
        weights[own] = np.maximum(np.take_along_axis(near, nearest[own], 1), 1e-3) ** 2
    return Neighbours(nearest, weights / weights.sum(1, keepdims=True), sets)


def word_weights(texts: Sequence[str]) -> Any:
    """(rows, words) float32 sparse, the TF-IDF of words that more than one and not too many rows have, of length 1.

    None where there are no such words.
    """
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    if not any(map(WORD.search, texts)):
        return None
    counts: Any = CountVectorizer(token_pattern=WORD.pattern, dtype=np.float32).fit_transform(texts)
    rows_of = np.bincount(counts.indices, minlength=counts.shape[1])
    kept = np.flatnonzero((rows_of > 1) & (rows_of <= max(50, MOST_ROWS * len(texts))))
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts[:, kept]) if len(kept) else None
