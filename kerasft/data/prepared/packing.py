"""Documents -> rows of full length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np


def pack(documents: Iterable[np.ndarray], room: int, separator: np.ndarray, across: bool) -> Iterator[np.ndarray]:
    """Cuts documents into rows, in order, without loss.

    RoBERTa's FULL-SENTENCES, Liu et al. 2019, arXiv:1907.11692: a row goes on with the next document, after a
    separator. Only the last row may be short; another is so where a separator would have filled it up. A row ends a
    document by itself, so no separator stands at either end of one.

    Args:
        documents: each (tokens, ...); one without tokens leaves no trace.
        room: tokens of a row, more than a separator has.
        separator: (tokens, ...) that stands between two documents of a row.
        across: whether rows go on across documents; otherwise each document has rows of its own.

    Returns:
        Rows of 1 to `room` tokens.
    """
    parts: list[np.ndarray] = []
    used = 0
    for document in documents:
        if used and len(document):
            if across and used + len(separator) < room:
                parts.append(separator)
                used += len(separator)
            else:
                yield np.concatenate(parts)
                parts, used = [], 0
        while len(document):
            parts.append(document[: room - used])
            used += len(parts[-1])
            document = document[len(parts[-1]) :]
            if used == room:
                yield np.concatenate(parts)
                parts, used = [], 0
    if used:
        yield np.concatenate(parts)
