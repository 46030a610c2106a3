"""Batches in which each text has others of its label: a pure function of (labels, seed, epoch)."""

from __future__ import annotations

import numpy as np

from kerasft.errors import UserError


def label_batches(labels: np.ndarray, batch_size: int, group: int, seed: int, epoch: int) -> list[np.ndarray]:
    """The batches of one epoch, whose rows come in groups of one label.

    The rows of each label are shuffled and cut into groups; groups are shuffled and laid end to end, whole ones first,
    so that these never lie across the edge of two batches where the batch size is a multiple; then batches are
    shuffled. Memory is linear in rows: which texts are compared follows from where they stand, and no list of pairs is
    made.

    Args:
        labels: (rows,) int.
        batch_size: rows a batch; the last one may have fewer.
        group: rows of a label that stand together; the last group of a label has as many as are left, and at least two.
        seed: `seed` of the config.
        epoch: counts from 0.

    Returns:
        Row indices of each batch; every row is in exactly one.

    Raises:
        UserError: a label has a single row, which there is nothing to compare with.
    """
    counts = np.bincount(labels)
    if (alone := int((counts == 1).sum())) > 0:
        raise UserError(
            f"training.contrastive: {alone} of {int((counts > 0).sum())} labels have one row in train, and it compares "
            "two texts of a label; add rows, or set contrastive to null"
        )
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # shuffled rows, one label after the other
    groups = []
    for rows in np.split(order, np.cumsum(counts[counts > 0])[:-1]):
        edges = np.arange(group, len(rows), group)
        if len(edges) and len(rows) - edges[-1] == 1:  # a last row would be alone
            edges = edges[:-1]
        groups += np.split(rows, edges)
    shuffled = [groups[index] for index in random.permutation(len(groups))]
    even = [rows for rows in shuffled if len(rows) == group]
    odd = _fitting([rows for rows in shuffled if len(rows) != group], group * len(even) % batch_size, batch_size)
    whole = np.concatenate([*even, *odd])
    batches = [whole[start : start + batch_size] for start in range(0, len(whole), batch_size)]
    full = len(whole) // batch_size  # a batch that is not stays last
    return [batches[index] for index in random.permutation(full)] + batches[full:]


def _fitting(groups: list[np.ndarray], filled: int, batch_size: int) -> list[np.ndarray]:
    """Groups in an order in which they end with a batch where they can.

    Args:
        groups: of several sizes.
        filled: rows of the batch that they begin in.
        batch_size: rows a batch.
    """
    placed, waiting = [], list(groups)
    while waiting:
        room = batch_size - filled
        place = next((place for place, rows in enumerate(waiting) if len(rows) <= room), 0)
        placed.append(rows := waiting.pop(place))
        filled = (filled + len(rows)) % batch_size
    return placed
