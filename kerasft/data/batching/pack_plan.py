"""Which texts of a batch share a row of the transformer layers, and where in it each stands.

A plan is a pure function of the lengths of the texts that one device works on at once, so that it needs no place in a
checkpoint and every worker makes its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kerasft.data.batching.batching import pad_rows
from kerasft.data.prepared.prepared import LENGTH_STEP

# A row may be longer than the longest text: less of it stays empty, while attention takes more.
STRETCH = (1, 1.25, 1.5, 2, 3, 4)
FINE_STRETCH = (1, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 2, 2.5, 3, 4)  # where one shape is chosen for a whole run
FINALISTS = 3  # of these lengths, the cheapest by the first epoch, are tried on all epochs
# Tokens of a row at which attention is reckoned to cost as much as all else in a layer: by operations it is six times
# the width (2,304 in MiniLM), and softmax, masks and dropout of the scores cost more than their operations.
EQUAL_COST = 1024
ROW, OFFSET = "pack_row", "pack_offset"  # features of a batch


@dataclass(frozen=True)
class RowShape:
    """How many rows all texts of one device share, and of how many tokens each."""

    rows: int
    length: int

    @property
    def tokens(self) -> int:
        """That all rows have room for."""
        return self.rows * self.length

    @property
    def cost(self) -> float:
        """Of a transformer layer, in units of tokens."""
        return self.tokens * (1 + self.length / EQUAL_COST)


def place(lengths: np.ndarray, row_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Best fit decreasing: the longest text first, each into the fullest row that has room for it.

    It opens at most 11/9 of the fewest possible rows, and a few more (Johnson et al. 1974).

    Args:
        lengths: (plans, texts) tokens; 0 for what only fills a batch up and takes no room.
        row_length: tokens of a row, at least those of the longest text.

    Returns:
        (plans, texts) int32 row of each text, -1 where it takes no room, and (plans, texts) int32 place of its first
        token in the row.
    """
    order = np.argsort(-lengths, axis=1, kind="stable")
    plans = np.arange(len(lengths))
    # Of two rows that are open none would have had room for the other's texts, so that half of all room is used.
    most = min(lengths.shape[1], 2 * int(lengths.sum(1).max(initial=0)) // row_length + 1)
    room = np.full((len(lengths), most), row_length)
    rows, offsets = np.empty(lengths.shape, np.int32), np.empty(lengths.shape, np.int32)
    for text in order.T:
        need = lengths[plans, text]
        room_after = room - need[:, None]
        row = np.where(room_after >= 0, room_after, row_length).argmin(1)
        rows[plans, text], offsets[plans, text] = row, row_length - room[plans, row]
        room[plans, row] -= need
    empty = lengths == 0
    rows[empty], offsets[empty] = -1, 0
    return rows, offsets


def best_shape(lengths: np.ndarray, shortest: int) -> RowShape:
    """The cheapest rows that hold the texts of every plan.

    Args:
        lengths: (plans, texts) tokens.
        shortest: least tokens of a row, at least those of the longest text.
    """
    candidates = sorted({rounded(shortest * stretch) for stretch in STRETCH})
    return min((RowShape(_rows(lengths, length), length) for length in candidates), key=lambda shape: shape.cost)


def _rows(lengths: np.ndarray, row_length: int) -> int:
    """That suffice for every plan."""
    return 1 + int(place(lengths, row_length)[0].max(initial=0))


@dataclass(frozen=True)
class Filling:
    """What rows of one shape save.

    Attributes:
        texts: that share the rows, of one device at once.
        rows, length: of the shape.
        padding: the share of it that stays empty, in the mean of a run.
        padding_alone: the share that would, had each text a row of the greatest length.
    """

    texts: int
    rows: int
    length: int
    padding: float
    padding_alone: float

    def __str__(self) -> str:
        return (
            f"packing: {self.texts} texts share {self.rows} rows of {self.length} tokens; padding is "
            f"{self.padding:.1%} of them, and would be {self.padding_alone:.1%} without"
        )


@dataclass(frozen=True)
class Packing:
    """Plans the batches of a split.

    Attributes:
        lengths: (rows, texts) tokens of each text of an example.
        shape: of all plans, for devices that compile each shape; None: each plan has the shape that suits it.
    """

    lengths: np.ndarray
    shape: RowShape | None = None

    @classmethod
    def of_one_shape(
        cls, lengths: np.ndarray, epochs: Iterable[Sequence[np.ndarray]], size: int, parts: int
    ) -> Packing:
        """The packing whose shape suffices for all batches of a run.

        Args:
            lengths: (rows, texts).
            epochs: the batches of each epoch.
            size: rows that batches are filled up to.
            parts: devices and parts of accumulation that share a batch.
        """
        packing = cls(lengths)
        shapes = [RowShape(1, length) for length in sorted({rounded(lengths.max() * each) for each in FINE_STRETCH})]
        for batches in epochs:
            dealt = np.stack([packing.deal(pad_rows(batch, size), parts) for batch in batches])
            texts = packing.tokens(dealt).reshape(len(batches) * parts, -1)
            shapes = [RowShape(max(shape.rows, _rows(texts, shape.length)), shape.length) for shape in shapes]
            shapes = sorted(shapes, key=lambda shape: shape.cost)[:FINALISTS]
        return cls(lengths, shapes[0])

    def filling(self, alone: RowShape, plans: int, tokens: int) -> Filling:
        """What the shape saves.

        Args:
            alone: the rows that texts would have without packing.
            plans: of an epoch.
            tokens: of all texts of an epoch.

        Raises:
            ValueError: the packing has no one shape.
        """
        shape = self.shape
        if shape is None:
            raise ValueError("each plan has a shape of its own; only the one of all plans can be compared")
        mean = tokens / plans
        padding, padding_alone = 1 - mean / shape.tokens, 1 - mean / alone.tokens
        return Filling(alone.rows, shape.rows, shape.length, padding, padding_alone)

    def tokens(self, rows: np.ndarray) -> np.ndarray:
        """(...) rows of the split -> (..., texts); 0 for a row of -1."""
        return np.where(rows[..., None] >= 0, self.lengths[rows], 0)

    def deal(self, rows: np.ndarray, parts: int) -> np.ndarray:
        """(batch,) -> (batch,) in another order, in which equal parts have about as many tokens each."""
        order = np.argsort(-self.tokens(rows).sum(-1), kind="stable")
        hands = rows[order].reshape(-1, parts)
        hands[1::2] = hands[1::2, ::-1]  # who got the longest of one hand gets the shortest of the next
        return hands.T.reshape(-1)

    def plan(self, rows: np.ndarray, parts: int) -> dict[str, np.ndarray]:
        """The features that carry the plans of equal parts of a batch.

        Args:
            rows: (batch,) of the split.
            parts: that are worked through one after the other, each with rows of its own.

        Returns:
            ROW and OFFSET, (batch,) int32, or (batch, texts) where an example has several.
        """
        tokens = self.tokens(rows)
        placements = [self._plan_of(part.reshape(1, -1)) for part in np.split(tokens, parts)]
        inner = self.lengths.shape[1:] if self.lengths.shape[1] > 1 else ()
        return {
            name: np.concatenate(values, axis=1).reshape(len(rows), *inner)
            for name, values in zip((ROW, OFFSET), zip(*placements))
        }

    def _plan_of(self, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(1, texts)"""
        shape = self.shape or best_shape(lengths, rounded(lengths.max()))
        return place(lengths, shape.length)


def rounded(length: float) -> int:
    """The least length of a row that holds a text."""
    return max(1, math.ceil(length / LENGTH_STEP)) * LENGTH_STEP
