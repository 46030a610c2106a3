"""Which labels the nearest rows have (k nearest neighbours, Cover and Hart 1967)."""

from __future__ import annotations

import numpy as np

AT_ONCE = 1 << 24  # similarities that are held at a time


def neighbour_shares(vectors: np.ndarray, sets: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray | None:
    """(rows, classes) the share of a row's nearest rows that have each class, nearer ones counting more.

    A neighbour weighs as much as its cosine squared, once the mean of all vectors is taken off.

    Args:
        vectors: (rows, width); their cosine says how near two rows are.
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
    result, block = np.empty(sets.shape), max(1, AT_ONCE // rows)
    for start in range(0, rows, block):
        own = slice(start, min(start + block, rows))
        near = unit[own] @ unit.T  # (block, rows)
        near[groups[own, None] == groups[None]] = -2.0
        nearest = np.argpartition(-near, count - 1, axis=1)[:, :count]  # (block, count)
        weights = np.maximum(np.take_along_axis(near, nearest, 1), 1e-3) ** 2
        result[own] = np.einsum("bn,bnk->bk", weights / weights.sum(1, keepdims=True), sets[nearest])
    return result
