"""How far the nearest rows have the same labels (k nearest neighbours, Cover and Hart 1967)."""

from __future__ import annotations

import numpy as np

AT_ONCE = 1 << 24  # similarities that are held at a time


def agreement(vectors: np.ndarray, sets: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """(rows,) from 0 to 1: the mean Jaccard similarity of a row's labels and those of its nearest rows.

    With one label a row it is the share of the neighbours that have the same.

    Args:
        vectors: (rows, width); their cosine says how near two rows are.
        sets: (rows, classes) 1 where a row has a class.
        groups: (rows,) the same number where rows are copies: they are no neighbours of each other.
        count: of neighbours.
    """
    rows = len(vectors)
    count = min(count, rows - int(np.bincount(groups).max()))  # what every row has
    if count < 1:
        return np.ones(rows)
    centred = vectors.astype(np.float32) - vectors.mean(0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    result, sizes, block = np.empty(rows), sets.sum(1), max(1, AT_ONCE // rows)
    for start in range(0, rows, block):
        own = slice(start, min(start + block, rows))
        near = unit[own] @ unit.T  # (block, rows)
        near[groups[own, None] == groups[None]] = -2.0
        nearest = np.argpartition(-near, count - 1, axis=1)[:, :count]  # (block, count)
        shared = np.einsum("bk,bnk->bn", sets[own], sets[nearest])
        either = sizes[own, None] + sizes[nearest] - shared
        result[own] = np.where(either > 0, shared / np.maximum(either, 1), 1.0).mean(1)
    return result
