"""Texts with what hides words in them taken away, and the place in the text that each character comes from.

Letters of other widths and styles, ligatures, accents that a word does not have, characters that nobody sees, and
letters of other alphabets that look alike (Unicode TR 39) within one word. A word that is wholly of another alphabet
stays: it may be a word of that language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\U000e0000-\U000e0fff]"
)
_MOST_MARKS = 16  # of a cluster that are read: to put marks in order takes the square of their number
_MARKED = ("LATIN", "GREEK", "CYRILLIC")  # alphabets whose letters are the same to a reader without their accents
# Small letters, those of capitals that look alike among them: Cyrillic, Greek and Armenian -> Latin.
_LATIN = dict(
    zip(
        "авекмнорстухіјѕһԁԛԝαβεηικμνορτυχζγօսհ",
        "abekmhopctyxijshdqwabenikmvoptuxzyouh",
        strict=True,
    )
)
_CYRILLIC = dict(zip("abekmhopctyxijs", "авекмнорстухіјѕ", strict=True))
_STYLED = dict(zip("ıłøđɑɡᴀʙᴄᴅᴇғɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "ilodagabcdefghijklmnoprstuvwyz", strict=True))
_WORD = re.compile(r"[^\W\d_]+")
_LATIN_LETTER, _CYRILLIC_LETTER = re.compile("[a-z]"), re.compile("[\u0400-\u052f]")


class Plain(NamedTuple):
    """A text without disguises.

    Attributes:
        text: in small letters.
        starts, ends: (characters,) the code points of the original text that each character comes from.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Characters [start, end) of this text -> code points of the original one; none of them is empty."""
        return self.starts[start], self.ends[end - 1]


def plain(text: str, accents: bool = False, cyrillic: bool = False) -> Plain:
    """A text as a reader takes it.

    Args:
        text: any.
        accents: whether they stay.
        cyrillic: in words of several alphabets, Latin letters become Cyrillic ones that look alike; else all become
            Latin ones.
    """
    if text.isascii():
        return Plain(text.lower(), range(len(text)), range(1, len(text) + 1))
    signs: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in _clusters(text):
        for sign in _read(_UNSEEN.sub("", text[start:end])[:_MOST_MARKS], accents):
            signs.append(sign)
            starts.append(start)
            ends.append(end)
    return Plain(_one_alphabet("".join(signs), cyrillic), starts, ends)


def _clusters(text: str) -> list[tuple[int, int]]:
    """(start, end) of each character that is seen, with the marks upon it."""
    found: list[tuple[int, int]] = []
    for place, sign in enumerate(text):
        if _UNSEEN.match(sign):
            continue
        if found and unicodedata.category(sign) in ("Mn", "Me"):
            found[-1] = found[-1][0], place + 1
        else:
            found.append((place, place + 1))
    return found


def _read(cluster: str, accents: bool) -> str:
    """One character with its marks -> the small letters that it is read as, often one."""
    if "\U0001f150" <= cluster[0] <= "\U0001f189":  # white letters on black
        code = ord(cluster[0]) - 0x1F150
        if code % 32 < 26:
            return chr(ord("a") + code % 32)
    small = unicodedata.normalize("NFKC", cluster).casefold()  # ß is ss, ς is σ
    if accents:
        return small
    bare = "".join(_STYLED.get(sign, sign) for sign in small)
    if not bare.isascii() and unicodedata.name(cluster[0], "").startswith(_MARKED):
        parts = unicodedata.normalize("NFD", bare)
        bare = "".join(sign for sign in parts if unicodedata.category(sign) not in ("Mn", "Me"))
    return bare


def _one_alphabet(text: str, cyrillic: bool) -> str:
    """The text, of the same length, with no word of several alphabets that look alike."""
    own, table = (_CYRILLIC_LETTER, _CYRILLIC) if cyrillic else (_LATIN_LETTER, _LATIN)

    def alike(match: re.Match[str]) -> str:
        word = match[0]
        return "".join(table.get(sign, sign) for sign in word) if own.search(word) and not word.isascii() else word

    return _WORD.sub(alike, text)
