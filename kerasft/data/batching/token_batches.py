"""Which rows form which batch where its size is a number of tokens: a pure function of (lengths, seed, epoch) again."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from kerasft.data.batching.batching import MEGA_BATCH, pad_rows
from kerasft.data.batching.pack_plan import Packing, rounded
from kerasft.data.prepared.prepared import LENGTH_STEP


@dataclass(frozen=True)
class TokenLimit:
    """What a batch has room for.

    Attributes:
        tokens: of all its rows, padding included; enough for a row of the greatest length in each part.
        longest: the longest a row can be.
        parts: equal ones that a batch must divide into.
    """

    tokens: int
    longest: int
    parts: int = 1

    def __post_init__(self):
        if self.tokens < self.parts * self.longest:
            raise ValueError(f"{self.tokens} tokens are less than {self.parts} rows of {self.longest}")

    def padded(self, lengths: np.ndarray) -> np.ndarray:
        """The lengths of rows with padding. It is that of a GPU everywhere, so that no plan depends on the device."""
        return np.minimum(-(-np.maximum(lengths, 1) // LENGTH_STEP) * LENGTH_STEP, self.longest)

    def rows(self, lengths: np.ndarray) -> np.ndarray:
        """How many rows that are padded to a length have room and divide."""
        return self.tokens // self.padded(lengths) // self.parts * self.parts

    @property
    def packed_length(self) -> int:
        """Of the rows that several texts share."""
        return rounded(self.longest)

    @property
    def packed_rows(self) -> int:
        """Of a part of a batch, where several texts share one."""
        return self.tokens // self.packed_length // self.parts


def token_batches(lengths: np.ndarray, limit: TokenLimit, method: str, seed: int, epoch: int) -> list[np.ndarray]:
    """The batches of one epoch, each of as many rows as have room; only what is left at the end may be fewer.

    Arguments are those of `epoch_batches`, but for

    Args:
        limit: of a batch.
        method: `pack` takes rows in random order, as many as pack into the room.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    if method == "pad":
        return list(_cut(order, lambda rows: _padded_count(lengths, rows, limit)))
    if method == "pack":
        return list(_cut(order, _Packed(lengths, limit).count))
    mega = max(1, int(MEGA_BATCH * limit.tokens / limit.padded(lengths).mean()))
    batches, rest = [], order[:0]
    for start in range(0, len(order), mega):
        part = np.concatenate([rest, order[start : start + mega]])
        part = part[np.argsort(-lengths[part], kind="stable")]
        *whole, rest = _cut(part, lambda rows: int(limit.rows(lengths[rows[0]])))
        batches += whole
    batches.append(rest)
    return [batches[i] for i in random.permutation(len(batches))]


def _cut(order: np.ndarray, count: Callable[[np.ndarray], int]) -> Iterator[np.ndarray]:
    """Batches of rows in order; `count` says how many of those that are left are the next."""
    while len(order):
        size = count(order)
        yield order[:size]
        order = order[size:]


def _padded_count(lengths: np.ndarray, rows: np.ndarray, limit: TokenLimit) -> int:
    """How many rows, from the first on, have room when padded to the longest of them."""
    most = lengths[rows[: int(limit.rows(lengths[rows[0]]))]]  # more have no room beside the first
    fits = np.arange(1, len(most) + 1) <= limit.rows(np.maximum.accumulate(most))
    return len(most) if fits.all() else int(fits.argmin()) // limit.parts * limit.parts


class _Packed:
    """Counts texts that share the rows of a batch."""

    def __init__(self, lengths: np.ndarray, limit: TokenLimit):
        self.lengths, self.limit, self.packing = lengths, limit, Packing(lengths[:, None])
        self.room = limit.packed_rows * limit.packed_length * limit.parts
        self.shortest = max(1, int(lengths.min()))

    def count(self, rows: np.ndarray) -> int:
        """How many texts, from the first on, have room."""
        window = rows[: self.room // self.shortest]
        most = int(np.searchsorted(np.cumsum(self.lengths[window]), self.room, "right"))
        if self._fits(rows[:most]):
            return most
        fits = min(self.limit.parts, most)  # a text for each part has room
        while most - fits > 1:
            middle = (fits + most) // 2
            fits, most = (middle, most) if self._fits(rows[:middle]) else (fits, middle)
        return fits

    def _fits(self, rows: np.ndarray) -> bool:
        parts = self.limit.parts
        dealt = self.packing.deal(pad_rows(rows, parts), parts)
        each = np.split(self.packing.tokens(dealt)[:, 0], parts)
        return all(rows_needed(part, self.limit.packed_length) <= self.limit.packed_rows for part in each)


def rows_needed(lengths: np.ndarray, row_length: int) -> int:
    """How many rows `pack_plan.place` opens for these texts, many times as fast as to place them."""
    rooms: list[int] = []
    for need in sorted(lengths.tolist(), reverse=True):
        index = bisect.bisect_left(rooms, need)
        room = rooms.pop(index) if index < len(rooms) else row_length
        bisect.insort(rooms, room - need)
    return len(rooms)
