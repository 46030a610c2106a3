"""How well vectors find the text that belongs to another: ranks over a whole split, and figures of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasft.evaluation.metrics import check_finite

CUTOFFS = (1, 5, 10)
SCORES_AT_ONCE = 1 << 22  # cosines that are held at a time: 16 MiB


@dataclass(frozen=True)
class Retrieval:
    """The distinct first texts of a split look for theirs among all its distinct second texts.

    Attributes:
        queries: (q,) row in which each distinct first text stands first.
        corpus: (c,) the same of second texts.
        relevant: (r, 2) indices into `queries` and `corpus` of what belongs together, sorted.
        pair_of_row: (rows,) index into `relevant` of each row of the split.
        ranks: (r,) place of each relevant text in its query's ranking, from 1; its query's other relevant texts that
            stand above it count, and texts of equal cosine that are not relevant stand above it.
    """

    queries: np.ndarray
    corpus: np.ndarray
    relevant: np.ndarray
    pair_of_row: np.ndarray
    ranks: np.ndarray

    def starts(self) -> np.ndarray:
        """(q,) where each query's rows of `relevant` begin."""
        return np.searchsorted(self.relevant[:, 0], np.arange(len(self.queries)))

    def reciprocal_ranks(self) -> np.ndarray:
        """(q,) 1 / rank of the best relevant text."""
        return 1.0 / np.minimum.reduceat(self.ranks, self.starts())


def retrieve(ids: np.ndarray, vectors: np.ndarray) -> Retrieval:
    """Ranks the split's second texts for each of its first texts, by cosine.

    Args:
        ids: (rows, 2 or 3) int, equal where texts are equal.
        vectors: (rows, 2 or 3, hidden) float32 unit vectors.

    Raises:
        UserError: some vectors are not finite: the training diverged.
    """
    check_finite(vectors, "vectors")
    _, queries, query_of_row = np.unique(ids[:, 0], return_index=True, return_inverse=True)
    _, corpus, text_of_row = np.unique(ids[:, 1], return_index=True, return_inverse=True)
    pairs = np.stack([query_of_row.reshape(-1), text_of_row.reshape(-1)], 1)
    relevant, pair_of_row = np.unique(pairs, axis=0, return_inverse=True)
    ranks = _ranks(vectors[queries, 0], vectors[corpus, 1], relevant)
    return Retrieval(queries, corpus, relevant, pair_of_row.reshape(-1), ranks)


def _ranks(queries: np.ndarray, corpus: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(relevant), np.int64)
    bounds = np.searchsorted(relevant[:, 0], np.arange(len(queries) + 1))
    size = max(1, SCORES_AT_ONCE // len(corpus))
    for first in range(0, len(queries), size):
        scores = queries[first : first + size] @ corpus.T  # (size, hidden), (c, hidden) -> (size, c)
        for query, row in enumerate(scores, first):
            part = slice(bounds[query], bounds[query + 1])
            own = row[relevant[part, 1]]
            order = np.argsort(-own, kind="stable")
            # what is not relevant and not below, and the relevant texts down to this one
            others = [np.count_nonzero(row >= each) - np.count_nonzero(own >= each) for each in own[order]]
            ranks[part.start + order] = np.asarray(others) + np.arange(1, len(own) + 1)
    return ranks


def retrieval_metrics(retrieval: Retrieval) -> dict[str, Any]:
    """Figures over queries, each of which counts once.

    Returns:
        mrr, the mean reciprocal rank of the best relevant text, over the whole ranking (Voorhees 1999);
        recall_at_{1,5,10}, the share of a query's relevant texts among its first k; ndcg_at_10 with gains of 0 and 1
        (Järvelin and Kekäläinen 2002); rows, queries and corpus, their sizes.
    """
    starts = retrieval.starts()
    counts = np.diff(np.append(starts, len(retrieval.ranks)))
    recalls = {
        f"recall_at_{k}": float((np.add.reduceat((retrieval.ranks <= k).astype(float), starts) / counts).mean())
        for k in CUTOFFS
    }
    deepest = CUTOFFS[-1]
    gains = np.where(retrieval.ranks <= deepest, 1.0 / np.log2(1.0 + retrieval.ranks), 0.0)
    ideal = np.cumsum(1.0 / np.log2(np.arange(2, deepest + 2)))[np.minimum(counts, deepest) - 1]
    return {
        "rows": len(retrieval.pair_of_row),
        "mrr": float(retrieval.reciprocal_ranks().mean()),
        **recalls,
        f"ndcg_at_{deepest}": float((np.add.reduceat(gains, starts) / ideal).mean()),
        "queries": len(retrieval.queries),
        "corpus": len(retrieval.corpus),
    }
