"""An automaton over bytes -> what each token of a vocabulary does to it, and how many tokens an answer still needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasft.models.constraints.automaton import Automaton, TooLarge

NEVER = 1 << 30  # tokens: no answer is to be reached
MOST_JUMPS = 1 << 22  # numbers, of 2 bytes; a served graph has them a few times


class HeldTokens(NamedTuple):
    """Which tokens may follow; arrays, or tensors of the same form. The last state is the one without a way out.

    Attributes:
        columns: (vocabulary,) int32, which column of `jumps` a token has.
        jumps: (states, columns) int16, where it leads.
        distances: (states,) int32, the fewest tokens to an answer's end; 0: it may end here; NEVER: it can't.
        complete: (states,) bool, whether it may end and nothing may follow.
        starts: (2,) int32, the start of an answer behind other text, and of one that opens a text.
    """

    columns: Any
    jumps: Any
    distances: Any
    complete: Any
    starts: Any


def held_tokens(
    language: Automaton, token_bytes: Sequence[bytes], ordinary: np.ndarray, opening: str | bool | None
) -> HeldTokens:
    """What a vocabulary can write of a language.

    Args:
        language: over bytes.
        token_bytes: of each token.
        ordinary: (vocabulary,) bool, tokens that are text.
        opening: what a text that opens loses at its start, see `Detokenizer`; True: one space.

    Raises:
        TooLarge: more than 2^22 moves.
    """
    moves, accepting = language.moves, language.accepting
    starts = [0, 0]
    if opening:
        moves, accepting = _with_opening(language, every=opening == "^ +")
        starts = [0, len(moves) - 3]
    distinct: dict[tuple[int, ...], list[int]] = {}
    for token in np.flatnonzero(ordinary).tolist():
        if token_bytes[token]:
            sequence = tuple(language.classes[np.frombuffer(token_bytes[token], np.uint8)].tolist())
            distinct.setdefault(sequence, []).append(token)
    columns, jumps = np.zeros(len(token_bytes), np.int32), _jumps(moves, distinct, columns_of := {})
    for sequence, tokens in distinct.items():
        columns[tokens] = columns_of.get(sequence, 0)
    distances = _distances(jumps, accepting)
    complete = (distances == 0) & (distances[jumps].min(axis=1) >= NEVER)
    return HeldTokens(columns, jumps.astype(np.int16), distances, complete, np.array(starts, np.int32))


def _with_opening(language: Automaton, every: bool) -> tuple[np.ndarray, np.ndarray]:
    """Two states more, before the last: the start of a text that opens, and the one behind its space; `every` space at
    the start is lost, or one."""
    dead, space = len(language.moves) - 1, language.classes[ord(" ")]
    moves = np.where(language.moves == dead, dead + 2, language.moves)
    behind, first = moves[0].copy(), moves[0].copy()
    first[space] = dead + 1
    if every:
        behind[space] = dead + 2
    last = np.full_like(first, dead + 2)
    accepting = np.concatenate([language.accepting[:dead], language.accepting[[0, 0]], [False]])
    return np.vstack([moves[:dead], first, behind, last]), accepting


def _jumps(
    moves: np.ndarray, sequences: dict[tuple[int, ...], list[int]], columns_of: dict[tuple[int, ...], int]
) -> np.ndarray:
    """(states, columns) where sequences of classes lead; column 0 leads nowhere. Fills `columns_of` of those that
    lead anywhere."""
    states, dead = len(moves), len(moves) - 1
    nowhere = np.full(states, dead, np.int32)
    known, columns = {nowhere.tobytes(): 0}, [nowhere]
    tree: dict[Any, Any] = {}
    for sequence in sequences:
        node = tree
        for each in sequence:
            node = node.setdefault(each, {})
        node[None] = sequence  # one ends here
    waiting = [(tree, np.arange(states, dtype=np.int32))]
    while waiting:
        node, reached = waiting.pop()
        for each, below in node.items():
            if each is None:
                key = reached.tobytes()
                if key not in known:
                    known[key] = len(columns)
                    columns.append(reached)
                    if len(columns) * states > MOST_JUMPS:
                        raise TooLarge(f"more than {MOST_JUMPS:,} moves")
                columns_of[below] = known[key]
                continue
            following = moves[reached, each]
            if (following != dead).any():
                waiting.append((below, following))
    return np.stack(columns, axis=1)


def _distances(jumps: np.ndarray, accepting: np.ndarray) -> np.ndarray:
    """(states,) int32 fewest tokens to an accepting state."""
    distances = np.where(accepting, 0, NEVER).astype(np.int32)
    while True:
        nearer = np.minimum(distances, np.minimum(distances[jumps].min(axis=1), NEVER - 1) + 1)
        if (nearer == distances).all():
            return distances
        distances = nearer


def fewest_tokens(text: bytes, token_bytes: Sequence[bytes], ordinary: np.ndarray) -> int:
    """How many tokens a text takes at least; NEVER: the vocabulary can't write it."""
    known = {token_bytes[token] for token in np.flatnonzero(ordinary).tolist()} - {b""}
    longest = max(map(len, known), default=0)
    fewest = [0] + [NEVER] * len(text)
    for end in range(1, len(text) + 1):
        for start in range(max(0, end - longest), end):
            if fewest[start] + 1 < fewest[end] and text[start:end] in known:
                fewest[end] = fewest[start] + 1
    return fewest[-1]
