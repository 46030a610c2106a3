"""The words of a text with their places, and which token belongs to which: explanations are read word by word."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasft.data.sources.edges import blank
from kerasft.data.sources.scripts import unspaced

NO_WORD = -1  # of special tokens, and of tokens of white space alone
_JOINERS = "\u200c\u200d"  # within Persian words, and between the parts of an emoji
_APOSTROPHES = "'\u2019"
_SKINS = range(0x1F3FB, 0x1F400)
_FLAGS = range(0x1F1E6, 0x1F200)


class Word(NamedTuple):
    """A word of one of a row's texts.

    Attributes:
        column: which of the row's texts it is in, from 0.
        start, end: code points in that text, the second one past the last.
    """

    column: int
    start: int
    end: int


def split_words(text: str) -> list[tuple[int, int]]:
    """(start, end) of each word of a text, in order; what is between them is white space or can't be seen.

    Letters and digits stay together, with an apostrophe or a decimal point between them. Each character of scripts
    without spaces, such as Chinese, is a word, and so is each sign of punctuation. Accents, and what joins the parts
    of an emoji, belong to the character before.
    """
    words: list[list[int]] = []
    for place, character in enumerate(text):
        last = words[-1] if words and words[-1][1] == place else None
        if last is not None and _continues(text, place, text[last[0] : last[1]]):
            last[1] = place + 1
        elif not blank(character):
            words.append([place, place + 1])
    return [(start, end) for start, end in words]


def _continues(text: str, place: int, before: str) -> bool:
    """Whether the character at a place belongs to the word that ends before it."""
    character, after = text[place], text[place + 1 : place + 2]
    if unicodedata.category(character) in ("Mn", "Mc", "Me") or ord(character) in _SKINS:
        return True
    if character in _JOINERS:
        return bool(after) and not blank(after)
    if before[-1] in _JOINERS:
        return not blank(character)
    if ord(character) in _FLAGS:
        return len(before) == 1 and ord(before) in _FLAGS
    letters = _letter(_base(before))
    if character in _APOSTROPHES:
        return letters and _base(before).isalpha() and bool(after) and after.isalpha() and not unspaced(after)
    if character in ".,":
        return before[-1].isdigit() and bool(after) and after.isdigit()
    return _letter(character) and (letters or (len(before) > 1 and before[-1] in f"{_APOSTROPHES}.,"))


def _base(word: str) -> str:
    """Its last character that is no mark upon another."""
    return next((sign for sign in reversed(word) if unicodedata.category(sign) not in ("Mn", "Mc", "Me")), word[-1])


def _letter(character: str) -> bool:
    return (character.isalnum() or character == "_") and not unspaced(character)


def words_of(texts: Sequence[str]) -> list[Word]:
    """The words of a row's texts, one text after the other."""
    return [Word(column, *span) for column, text in enumerate(texts) for span in split_words(text)]


def words_of_tokens(words: Sequence[Word], offsets: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The word that each token of a row belongs to: the one that has most of its characters.

    Args:
        words: of the row, ascending in each column.
        offsets: (tokens, 2) code points; see `kerasft.models.preprocessing.token_offsets`.
        columns: (tokens,) which text each is of; negative for special tokens.

    Returns:
        (tokens,) int32 index of a word, or NO_WORD.
    """
    found = np.full(len(offsets), NO_WORD, np.int32)
    for column in set(columns.tolist()) - {NO_WORD}:
        numbers = [number for number, word in enumerate(words) if word.column == column]
        ends = np.array([words[number].end for number in numbers])
        for token in np.flatnonzero(columns == column):
            start, end = offsets[token]
            first = int(np.searchsorted(ends, start, side="right"))
            best = 0
            for number in numbers[first:]:
                if words[number].start >= end:
                    break
                shared = min(end, words[number].end) - max(start, words[number].start)
                if shared > best:
                    best, found[token] = shared, number
    return found
