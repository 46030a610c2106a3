"""Which characters belong to scripts that are written without spaces between words."""

from __future__ import annotations

import re

# Chinese and Japanese, with their punctuation and full-width forms.
UNSPACED = ((0x2E80, 0x2FDF), (0x3000, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
UNSPACED += ((0xFF01, 0xFF9F), (0x20000, 0x3FFFF))


# Of these, the syllables that Japanese alone is written with.
KANA = ((0x3041, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9F))


def unspaced(character: str) -> bool:
    """Whether no space stands between this character and another of its kind."""
    return any(first <= ord(character) <= last for first, last in UNSPACED)


def kana(character: str) -> bool:
    """Whether it is a Japanese syllable."""
    return any(first <= ord(character) <= last for first, last in KANA)


_UNSPACED = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED)
_APART = re.compile(rf"(?!\s)[{_UNSPACED}]|[^\s{_UNSPACED}]+")


def apart(text: str) -> list[str]:
    """What is between white space, each character of scripts without spaces by itself."""
    return _APART.findall(text)
