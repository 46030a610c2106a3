"""Which fold each row is in: copies of a text together, each stratum in its proportion."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from kerasft.errors import UserError


def assign_folds(
    keys: Sequence[Hashable], strata: np.ndarray | None, folds: int, seed: int, key: str = "data.folds"
) -> np.ndarray:
    """(rows,) the fold of each row, from 0.

    Rows with the same key are in one fold: the copy of a row would tell its answer to the model that is measured on
    it. A group of such rows counts for the stratum of its first row. Groups of a stratum are dealt out, the largest
    first, to the fold that has fewest rows of that stratum, then fewest rows.

    Args:
        keys: (rows,) equal where rows are copies.
        strata: (rows,) numbers of the groups that each fold is to have its share of; None: one for all.
        folds: 2 or more.
        seed: the same one gives the same folds.
        key: that asks for them, for messages.

    Raises:
        UserError: there are fewer different rows than folds.
    """
    first: dict[Hashable, int] = {}
    group_of = np.array([first.setdefault(each, len(first)) for each in keys], np.int64)
    if len(first) < folds:
        raise UserError(f"{key}: {folds} folds of {len(first)} different rows; use {max(2, len(first))} or fewer")
    sizes = np.bincount(group_of)
    leaders = np.unique(group_of, return_index=True)[1]
    stratum_of = np.zeros(len(sizes), np.int64) if strata is None else np.asarray(strata)[leaders]
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.lexsort((-sizes[order], stratum_of[order]))]
    totals, fold_of_group = np.zeros(folds, np.int64), np.empty(len(sizes), np.int64)
    own, stratum = np.zeros(folds, np.int64), None
    for group in order.tolist():
        if stratum_of[group] != stratum:
            stratum, own = stratum_of[group], np.zeros(folds, np.int64)
        fold = int(np.lexsort((totals, own))[0])
        fold_of_group[group] = fold
        own[fold] += sizes[group]
        totals[fold] += sizes[group]
    return fold_of_group[group_of]
