"""What is cut off the edges of names, tokens and stretches of text: white space, and characters that nobody sees."""

from __future__ import annotations

# Ranges, both ends included: control characters, and those that Unicode has as ignorable and that stand by themselves.
# Variation selectors and accents are none: they belong to the character before them.
INVISIBLE = ((0x00, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x061C, 0x061C), (0x115F, 0x1160), (0x180E, 0x180E))
INVISIBLE += ((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFEFF, 0xFEFF))
INVISIBLE += ((0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB), (0x1D173, 0x1D17A), (0xE0001, 0xE0001), (0xE0020, 0xE007F))

_INVISIBLE = frozenset(chr(code) for first, last in INVISIBLE for code in range(first, last + 1))


def blank(character: str) -> bool:
    """Whether it is white space or can't be seen."""
    return character in _INVISIBLE or character.isspace()


def invisible(character: str) -> bool:
    """Whether it can't be seen and takes no room."""
    return character in _INVISIBLE and not character.isspace()


def trimmed(text: str) -> str:
    """The text without what is blank at its edges."""
    start, end = trimmed_span(text, 0, len(text))
    return text[start:end]


def trimmed_span(text: str, start: int, end: int) -> tuple[int, int]:
    """A stretch of a text -> the same without what is blank at its edges; (end, end) where all of it is."""
    while start < end and blank(text[start]):
        start += 1
    while start < end and blank(text[end - 1]):
        end -= 1
    return start, end
