"""Which rows form which batch: a pure function of (lengths, seed, epoch).

The position of a run in its data is therefore one integer, the step: a resumed run computes the same
batches without reading what came before.
"""

from __future__ import annotations

import math

import numpy as np

# A mega-batch is shuffled rows that are then sorted by length: long enough that rows of a batch are
# alike, short enough that an epoch's order stays random (Hugging Face's length grouping has 50 too).
MEGA_BATCH = 50


def epoch_batches(lengths: np.ndarray, batch_size: int, method: str, seed: int, epoch: int) -> list[np.ndarray]:
    """The batches of one epoch.

    Args:
        lengths: (rows,) tokens of each row.
        batch_size: rows a batch; the last batch to be cut may have fewer.
        method: `pad`: rows in random order; `bucket`: rows of like length together, batches in random order;
            `pack`: each batch has long and short rows as the split has, so that all have about as many tokens.
        seed: `seed` of the config: with another one each epoch has another order.
        epoch: counts from 0.

    Returns:
        Row indices of each batch; every row is in exactly one.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    if method == "pad":
        return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if method == "pack":
        return _stratified(order[np.argsort(-lengths[order], kind="stable")], batch_size, random)
    mega = MEGA_BATCH * batch_size
    batches = []
    for start in range(0, len(order), mega):
        part = order[start : start + mega]
        part = part[np.argsort(-lengths[part], kind="stable")]
        batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


def _stratified(longest_first: np.ndarray, batch_size: int, random: np.random.Generator) -> list[np.ndarray]:
    """Batches with one row of each stratum of length; which one is random. A smaller batch comes last."""
    count, remainder = divmod(len(longest_first), batch_size)
    edges = np.linspace(0, len(longest_first), remainder + 1).astype(int)
    last = random.integers(edges[:-1], edges[1:])
    strata = np.delete(longest_first, last).reshape(batch_size, count)
    batches = list(random.permuted(strata, axis=1).T)
    return [*batches, longest_first[last]] if remainder else batches


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Steps after which every row was seen once."""
    return math.ceil(rows / batch_size)


def sorted_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Batches for evaluation, the longest rows first, so that memory runs out at once or not at all."""
    order = np.argsort(-lengths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def pad_rows(rows: np.ndarray, parts: int) -> np.ndarray:
    """Appends -1 (a row that counts nothing) until the rows divide into equal parts."""
    return np.concatenate([rows, np.full(-len(rows) % parts, -1, rows.dtype)])
