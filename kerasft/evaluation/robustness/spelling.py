"""Changes of letters: typing errors, case, accents, characters that look alike, full-width forms, white space."""

from __future__ import annotations

import random
import re
import unicodedata

TYPO_SHARE = 0.1  # of the words
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_HOMOGLYPHS = dict(zip("aceiopxyABCEHKMOPTX", "асеіорхуАВСЕНКМОРТХ"))  # Latin -> Cyrillic of the same look
_WORD = re.compile(r"[^\W\d_]{3,}")
_SPACE = re.compile(r" +")


def typos(text: str, draw: random.Random) -> str:
    """A tenth of the words, at least one, has a letter doubled, dropped, swapped or replaced by its neighbour's key."""
    words = list(_WORD.finditer(text))
    for match in sorted(draw.sample(words, _count(len(words))), key=lambda match: -match.start()):
        text = text[: match.start()] + mistyped(match[0], draw) + text[match.end() :]
    return text


def _count(words: int) -> int:
    return min(words, max(1, round(TYPO_SHARE * words)))


def mistyped(word: str, draw: random.Random) -> str:
    """A word of three letters or more with one dropped, doubled, swapped, or the key beside it."""
    place = draw.randrange(1, len(word) - 1) if len(word) > 3 else 1
    kind = draw.randrange(4)
    if kind == 0:
        return word[:place] + word[place + 1 :]
    if kind == 1:
        return word[:place] + word[place] + word[place:]
    if kind == 2:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return word[:place] + _neighbour(word[place], draw) + word[place + 1 :]


def _neighbour(letter: str, draw: random.Random) -> str:
    for row in _ROWS:
        if (place := row.find(letter.lower())) >= 0:
            near = draw.choice([row[i] for i in (place - 1, place + 1) if 0 <= i < len(row)])
            return near.upper() if letter.isupper() else near
    return letter


def lower(text: str, draw: random.Random) -> str:
    return text.lower()


def upper(text: str, draw: random.Random) -> str:
    return text.upper()


def without_accents(text: str, draw: random.Random) -> str:
    """é -> e; scripts whose marks are vowels, such as Hindi's, are left alone."""
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", re.sub("(?<=[A-Za-z])[\u0300-\u036f]+", "", decomposed))


def homoglyphs(text: str, draw: random.Random) -> str:
    """One letter of a tenth of the words becomes a Cyrillic one of the same look."""
    words = [match for match in _WORD.finditer(text) if set(match[0]) & _HOMOGLYPHS.keys()]
    for match in sorted(draw.sample(words, _count(len(words))), key=lambda match: -match.start()):
        place = draw.choice([i for i in range(match.start(), match.end()) if text[i] in _HOMOGLYPHS])
        text = text[:place] + _HOMOGLYPHS[text[place]] + text[place + 1 :]
    return text


def full_width(text: str, draw: random.Random) -> str:
    """ASCII letters and digits as Chinese and Japanese keyboards write them."""
    return re.sub("[0-9A-Za-z]", lambda match: chr(ord(match[0]) + 0xFEE0), text)


def white_space(text: str, draw: random.Random) -> str:
    """Spaces doubled, a line break at a place, and some at the edges."""
    spaces = list(_SPACE.finditer(text))
    if spaces:
        match = draw.choice(spaces)
        text = text[: match.start()] + "\n" + text[match.end() :]
    return "  " + _SPACE.sub("  ", text) + " "
