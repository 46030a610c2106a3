"""Automata over the bytes of UTF-8: put together from parts, then made deterministic and as small as they can be.

Thompson 1968 (parts), Rabin and Scott 1959 (subsets), Moore 1956 (fewest states).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

MOST_PARTS, MOST_STATES = 200_000, 20_000
Ranges = Sequence[tuple[int, int]]  # of code points, from the first to the last
_LAST = (0x7F, 0x7FF, 0xFFFF, 0x10FFFF)  # code point of 1, 2, 3, 4 bytes
_SURROGATES = (0xD800, 0xDFFF)  # no characters


class TooLarge(ValueError):
    """A language needs more states than are taken."""


class Automaton(NamedTuple):
    """A deterministic automaton; state 0 is the start, the last state is the one that no text leads out of.

    Attributes:
        classes: (256,) int32, bytes that no state tells apart have one number.
        moves: (states, classes) int32.
        accepting: (states,) bool.
    """

    classes: np.ndarray
    moves: np.ndarray
    accepting: np.ndarray

    def accepts(self, text: bytes) -> bool:
        """Whether a text is in the language."""
        state = 0
        for byte in text:
            state = self.moves[state, self.classes[byte]]
        return bool(self.accepting[state])


class Parts:
    """A nondeterministic automaton that grows: states with edges of ranges of bytes, and edges of no byte."""

    def __init__(self) -> None:
        self.edges: list[list[tuple[int, int, int]]] = []  # state -> (first byte, last byte, to)
        self.silent: list[list[int]] = []

    def state(self) -> int:
        """A new state."""
        if len(self.edges) >= MOST_PARTS:
            raise TooLarge(f"more than {MOST_PARTS:,} parts")
        self.edges.append([])
        self.silent.append([])
        return len(self.edges) - 1


# Puts a language behind a state, and returns the state behind it. Each call is a copy of its own.
Language = Callable[[Parts, int], int]


def literal(text: str) -> Language:
    """One text."""

    def put(parts: Parts, start: int) -> int:
        for byte in text.encode("utf-8"):
            parts.edges[start].append((byte, byte, end := parts.state()))
            start = end
        return start

    return put


def characters(ranges: Ranges) -> Language:
    """One character of some ranges; none where there are no ranges."""

    def put(parts: Parts, start: int) -> int:
        end = parts.state()
        for first, last in ranges:
            for spans in utf8_ranges(first, last):
                at = start
                for index, (low, high) in enumerate(spans):
                    to = end if index == len(spans) - 1 else parts.state()
                    parts.edges[at].append((low, high, to))
                    at = to
        return end

    return put


def sequence(*languages: Language) -> Language:
    """One after the other."""

    def put(parts: Parts, start: int) -> int:
        for each in languages:
            start = each(parts, start)
        return start

    return put


def either(languages: Iterable[Language]) -> Language:
    """Any of some."""
    languages = list(languages)

    def put(parts: Parts, start: int) -> int:
        end = parts.state()
        for each in languages:
            parts.silent[start].append(begin := parts.state())
            parts.silent[each(parts, begin)].append(end)
        return end

    return put


def repeated(language: Language, least: int, most: int | None) -> Language:
    """So many times; most None: without end."""

    def put(parts: Parts, start: int) -> int:
        for _ in range(least):
            start = language(parts, start)
        if most is None:
            parts.silent[start].append(loop := parts.state())
            parts.silent[language(parts, loop)].append(loop)
            return loop
        end = parts.state()
        for _ in range(most - least):
            parts.silent[start].append(end)
            start = language(parts, start)
        parts.silent[start].append(end)
        return end

    return put


def utf8_ranges(first: int, last: int) -> list[list[tuple[int, int]]]:
    """Code points from the first to the last -> sequences of ranges of bytes that spell them and no others."""
    if first > last:
        return []
    for edge in (*_LAST, _SURROGATES[0] - 1, _SURROGATES[1]):
        if first <= edge < last:
            return utf8_ranges(first, edge) + utf8_ranges(edge + 1, last)
    if _SURROGATES[0] <= first <= _SURROGATES[1]:
        return []
    for count in range(1, len(chr(first).encode("utf-8"))):
        low = (1 << (6 * count)) - 1  # of the last bytes
        if first & ~low != last & ~low:
            if first & low:
                return utf8_ranges(first, first | low) + utf8_ranges((first | low) + 1, last)
            if last & low != low:
                return utf8_ranges(first, (last & ~low) - 1) + utf8_ranges(last & ~low, last)
    return [list(zip(chr(first).encode("utf-8"), chr(last).encode("utf-8")))]


def automaton(language: Language) -> Automaton:
    """A language as the smallest automaton. Raises TooLarge."""
    parts = Parts()
    end = language(parts, start := parts.state())
    borders = sorted({border for edges in parts.edges for low, high, _ in edges for border in (low, high + 1)} | {0})
    borders = [border for border in borders if border < 256]
    classes = np.searchsorted(borders, np.arange(256), side="right").astype(np.int32) - 1
    moves, accepting = _subsets(parts, start, end, borders)
    return _smallest(classes, moves, accepting)


def _subsets(parts: Parts, start: int, end: int, borders: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """(states, classes) moves and (states,) whether each accepts, of sets of states; the empty set among them."""

    def closed(states: Iterable[int]) -> frozenset[int]:
        found, waiting = set(states), list(states)
        while waiting:
            for to in parts.silent[waiting.pop()]:
                if to not in found:
                    found.add(to)
                    waiting.append(to)
        return frozenset(state for state in found if parts.edges[state] or state == end)

    place = {border: index for index, border in enumerate([*borders, 256])}
    spans = [[(place[low], place[high + 1], to) for low, high, to in edges] for edges in parts.edges]
    sets: dict[frozenset[int], int] = {closed([start]): 0}
    order, moves = list(sets), []
    for states in order:  # grows
        targets: list[set[int]] = [set() for _ in borders]
        for state in states:
            for first, behind, to in spans[state]:
                for target in targets[first:behind]:
                    target.add(to)
        row = []
        known: dict[frozenset[int], int] = {}
        for target in map(frozenset, targets):
            if target not in known:
                found = closed(target)
                if found not in sets:
                    sets[found] = len(order)
                    order.append(found)
                known[target] = sets[found]
            row.append(known[target])
        moves.append(row)
        if len(order) > MOST_STATES:
            raise TooLarge(f"more than {MOST_STATES:,} states")
    return np.array(moves, np.int32), np.array([end in states for states in order])


def _smallest(classes: np.ndarray, moves: np.ndarray, accepting: np.ndarray) -> Automaton:
    # A state that no text leads out of has to be there: one more, which may turn out to be one that there is.
    dead = len(moves)
    moves = np.vstack([moves, np.full((1, moves.shape[1]), dead, np.int32)])
    accepting = np.append(accepting, False)
    block, count = accepting.astype(np.int32), len(np.unique(accepting))
    while True:  # states are one as long as they lead to the same blocks
        numbers: dict[bytes, int] = {}
        signs = np.column_stack([block, block[moves]])  # (states, 1 + classes)
        block = np.array([numbers.setdefault(sign.tobytes(), len(numbers)) for sign in signs], np.int32)
        if len(numbers) == count:
            break
        count = len(numbers)
    order = [block[0], *(each for each in dict.fromkeys(block.tolist()) if each not in (block[0], block[dead]))]
    if block[0] != block[dead]:
        order.append(block[dead])
    else:
        order = [block[0], *order[1:], block[0]]  # an empty language: its start is dead, too
    number = np.zeros(count, np.int32)
    number[order] = np.arange(len(order))
    first = np.array([int(np.argmax(block == each)) for each in order])
    return Automaton(classes, number[block[moves[first]]], accepting[first])
