"""Which rows of a stream are kept: pure functions of a seed and the stream, so that a run that goes on keeps the same.

A stream is told by its rows' classes and digests. What is given are indices of rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import numpy as np


def reservoir(size: int, new: int, seed: int, *, kept: int = 0, seen: int = 0) -> list[int]:
    """`size` rows of a stream, each with the same probability size / (seen + new) (algorithm R, Vitter 1985).

    The draw of the stream's row n is a function of (seed, n), so the stream may come in any number of parts. Where more
    rows are kept than there is room for now, those that leave are drawn first, each as likely.

    Args:
        size: rows that are kept at most. Less than for a part before is fine; with more, rows of that part stay rarer.
        new: rows of this part.
        seed: of the draws.
        kept: rows that are kept of the parts before.
        seen: rows of the parts before.

    Returns:
        Indices of what is kept among the rows kept before, in the order in which they were given, and the new ones
        behind them; give rows back in this order with the next part.
    """
    slots = sorted(sorted(range(kept), key=lambda slot: _draw(seed, f"{seen} leaves {slot}"))[:size])
    for row in range(new):
        if len(slots) < size:
            slots.append(kept + row)
        elif (slot := _draw(seed, seen + row) % (seen + row + 1)) < size:
            slots[slot] = kept + row
    return slots


def balanced(classes: Sequence[Collection[str]], digests: Sequence[str], per_class: int, seed: int) -> list[int]:
    """At most `per_class` rows of each class, those whose digests hash lowest with the seed.

    The order of the stream does not matter, and of a class that has more rows than are kept each is as likely. A row
    of several classes, such as types of entities, is kept for the first of them that has too few.

    Args:
        classes: of each row; of a row without any nothing is kept.
        digests: of each row; see `kerasft.continual.memory.ridge.row_digest`.
        per_class: rows that are kept of a class.
        seed: of the draw.

    Returns:
        Indices, ascending.
    """
    ranked = sorted(range(len(classes)), key=lambda row: (_hash(seed, digests[row]), row))
    kept: dict[str, list[int]] = {}
    for row in ranked:
        for name in sorted(classes[row]):
            rows = kept.setdefault(name, [])
            if len(rows) < per_class:
                rows.append(row)
                break
    return sorted(row for rows in kept.values() for row in rows)


def herding(vectors: np.ndarray, per_class: int, classes: Sequence[str]) -> list[int]:
    """At most `per_class` rows of each class, chosen one by one so that their mean is nearest to the class's.

    Rebuffi et al. 2017 (iCaRL, arXiv:1611.07725), algorithm 4: the first k chosen are the best k, so a smaller buffer
    is a prefix of a larger one.

    Args:
        vectors: (rows, width) of the rows; they are made unit vectors first.
        per_class: rows that are kept of a class.
        classes: of each row.

    Returns:
        Indices, class after class in the order of their first rows, each in the order of choice.
    """
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(classes):
        rows_of.setdefault(name, []).append(row)
    chosen = []
    for rows in rows_of.values():
        of_class = units[rows].astype(np.float64)
        mean, total = of_class.mean(0), np.zeros(units.shape[1])
        left = list(range(len(rows)))
        for count in range(1, min(per_class, len(rows)) + 1):
            distances = np.linalg.norm(mean - (total + of_class[left]) / count, axis=1)
            best = left.pop(int(distances.argmin()))
            total += of_class[best]
            chosen.append(rows[best])
    return chosen


def _hash(seed: int, text: str) -> int:
    content = f"{seed}:{text}".encode()
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "little")


def _draw(seed: int, name: int | str) -> int:
    """A whole number below 2**64, a function of both; the bias of its remainder by n is below n / 2**64."""
    return _hash(seed, str(name))
