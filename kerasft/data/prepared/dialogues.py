"""Dialogues as rows of a model: whole turns, answers to be said, and a new row where one more exchange has no room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kerasft.data.prepared.prepared import NO_TARGET


class Turn(NamedTuple):
    """Ids of a turn: what is read before, what is to be said (none where it is not learnt), what stands behind it.

    `first` is what is read before where the turn begins a row; None: the same.
    """

    read: np.ndarray
    target: np.ndarray
    after: np.ndarray
    first: np.ndarray | None = None


def dialogue_rows(
    turns: Sequence[Turn], leading: int, prefix: np.ndarray, max_length: int
) -> tuple[list[np.ndarray], int]:
    """A dialogue's rows, and how many answers have no room.

    An exchange is the turns up to an answer, and the answer. A row holds as many exchanges, one after the other, as
    have room; each answer is said in one row only. A new row begins with the leading turns and a whole exchange; where
    they have no room, without the leading ones, then without the first turns of the exchange. An answer that has no
    room behind the turn before it is left out, with that turn. Nothing is cut within a turn.

    Args:
        turns: of the dialogue.
        leading: how many of them, at the start, stand before every row, such as a system turn.
        prefix: ids that every row begins with.
        max_length: tokens of a row.

    Returns:
        (tokens, 2) int32 of each row, what is read and what is to be said next, NO_TARGET: nothing.
    """
    rows: list[np.ndarray] = []
    current: list[Turn] = []
    dropped = 0
    head = list(turns[:leading])
    for exchange in _exchanges(turns[leading:]):
        if current and _length(prefix, current + exchange) <= max_length:
            current += exchange
            continue
        if current:
            rows.append(_row(prefix, current))
        shorter = (exchange[start:] for start in range(max(1, len(exchange) - 1)))
        starts = [head + exchange, *shorter]
        current = next((start for start in starts if _length(prefix, start) <= max_length), [])
        dropped += not current
    if current:
        rows.append(_row(prefix, current))
    return rows, dropped


def _exchanges(turns: Sequence[Turn]) -> Iterator[list[Turn]]:
    """What follows the last answer is part of none: nothing is said there."""
    exchange: list[Turn] = []
    for turn in turns:
        exchange.append(turn)
        if len(turn.target):
            yield exchange
            exchange = []


def _length(prefix: np.ndarray, turns: Sequence[Turn]) -> int:
    """Tokens that are read; the last one said is read by nobody, and what stands behind it is not there."""
    whole = sum(len(turn.read) + len(turn.target) + len(turn.after) for turn in _as_row_begins(turns))
    return len(prefix) + whole - len(turns[-1].after) - 1


def _row(prefix: np.ndarray, turns: Sequence[Turn]) -> np.ndarray:
    ids, targets = [prefix], [np.full(len(prefix), NO_TARGET)]
    for turn in _as_row_begins(turns):
        ids += turn.read, turn.target, turn.after
        targets += [np.full(len(turn.read), NO_TARGET), turn.target, np.full(len(turn.after), NO_TARGET)]
    pairs = np.stack([np.concatenate(ids)[:-1], np.concatenate(targets)[1:]], axis=1)
    return pairs[: _length(prefix, turns)].astype(np.int32)


def _as_row_begins(turns: Sequence[Turn]) -> list[Turn]:
    """Turns of a row, the first as it is read there."""
    first = turns[0]
    return [first if first.first is None else first._replace(read=first.first), *turns[1:]]
