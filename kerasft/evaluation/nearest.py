"""Exact nearest neighbours among unit vectors, in blocks so that memory stays bounded."""

from __future__ import annotations

import numpy as np

QUERIES_AT_ONCE = 256
ROWS_AT_ONCE = 32_768  # of the corpus: a block of cosines takes 32 MiB


def nearest(queries: np.ndarray, corpus: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the corpus with the highest cosine to each query.

    Args:
        queries: (q, hidden) float32 unit vectors.
        corpus: (c, hidden) float32 unit vectors; may be mapped from a file.
        top: how many; of a smaller corpus all.

    Returns:
        (q, top) float32 cosines, the highest first, and (q, top) int64 rows; equal cosines by ascending row.

    Raises:
        ValueError: top is not positive, or the corpus is empty.
    """
    if top < 1 or not len(corpus):
        raise ValueError(f"top is {top} and the corpus has {len(corpus)} rows; both must be at least 1")
    if not len(queries):
        width = min(top, len(corpus))
        return np.empty((0, width), np.float32), np.empty((0, width), np.int64)
    parts = [_nearest(queries[i : i + QUERIES_AT_ONCE], corpus, top) for i in range(0, len(queries), QUERIES_AT_ONCE)]
    cosines, rows = zip(*parts)
    return np.concatenate(cosines), np.concatenate(rows)


def _nearest(queries: np.ndarray, corpus: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    scores = np.empty((len(queries), 0), np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(corpus), ROWS_AT_ONCE):
        cosines = queries @ corpus[start : start + ROWS_AT_ONCE].T  # (q, hidden), (rows, hidden) -> (q, rows)
        if cosines.shape[1] > top:
            best = np.sort(np.argpartition(-cosines, top - 1, axis=1)[:, :top], axis=1)
        else:
            best = np.broadcast_to(np.arange(cosines.shape[1]), cosines.shape)
        scores = np.concatenate([scores, np.take_along_axis(cosines, best, 1)], axis=1)
        rows = np.concatenate([rows, best + start], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :top]  # stable: equal cosines stay in row order
        scores, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
    return scores, rows
