"""Text of strangers as a terminal may show it: what would steer the terminal, or lie about the order, is escaped."""

from __future__ import annotations

import re

# Control characters (ESC begins the sequences that move a cursor, rename a window or answer for the user), line and
# paragraph separators, and those that turn the direction of what follows. Joiners and no-break spaces are left: many
# scripts and emoji are written with them.
_STEERING = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_ANY = re.compile(f"[{_STEERING}]")
_BUT_LAYOUT = re.compile(rf"(?![\n\t])[{_STEERING}]")


def printable(text: str, layout: bool = False) -> str:
    """The text with control characters as `\\u001b`, which JSON reads back as the character.

    Args:
        text: any.
        layout: line breaks and tabs are the program's own and stay.
    """
    pattern = _BUT_LAYOUT if layout else _ANY
    return pattern.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def one_line(text: str) -> str:
    """`printable` on one line: spaces stand for line breaks."""
    return printable(" ".join(text.split("\n")))
