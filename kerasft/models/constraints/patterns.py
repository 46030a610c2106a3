"""Regular expressions, as far as they say which whole text is meant, as languages of `automaton`.

What there is: characters, `.`, `[...]`, `\\d \\w \\s` and their opposites (of ASCII alone, where dialects agree),
`\\n \\t \\r`, `\\xHH`, `\\uHHHH`, groups, `|`, `* + ? {m} {m,} {m,n}`. What is none of it (look-around, references,
lazy or possessive repeats, flags, word borders) is an error.
"""

from __future__ import annotations

from collections.abc import Callable

from kerasft.models.constraints.automaton import Language, Ranges, characters, either, repeated, sequence

TOP, ASCII = 0x10FFFF, 0x7F
_DIGITS = [(48, 57)]
_WORDS = [(48, 57), (65, 90), (95, 95), (97, 122)]
_SPACES = [(9, 13), (32, 32)]
_SETS = {"d": _DIGITS, "w": _WORDS, "s": _SPACES}
_ANY = [(0, 9), (11, 12), (14, 0x2027), (0x202A, TOP)]  # no line break of any dialect
_CONTROLS = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11, "0": 0}
MOST_TIMES = 10_000


class PatternError(ValueError):
    """A regular expression is wrong, or has what is not taken."""


class Pattern:
    """A regular expression.

    Args:
        text: of it.
        one_of: how a character of some ranges is written; as UTF-8, or as in a string of JSON.

    Attributes:
        language: what matches all of it, but for the anchors.
        from_start, to_end: whether it has `^` at its start, and `$` at its end.

    Raises:
        PatternError: says what is wrong, and where.
    """

    def __init__(self, text: str, one_of: Callable[[Ranges], Language] = characters):
        self._text, self._at, self._one_of = text, 0, one_of
        self.from_start = text.startswith("^")
        slashes = len(text) - len(text[:-1].rstrip("\\")) - 1
        self.to_end = text.endswith("$") and slashes % 2 == 0
        self._at, self._end = int(self.from_start), len(text) - int(self.to_end)
        branches = self._branches()
        if self._at < self._end:
            raise self._error("has a ) without its (")
        if len(branches) > 1 and (self.from_start or self.to_end):
            raise PatternError("has ^ or $ beside |; put the alternatives into a group, such as ^(a|b)$")
        self.language = either(branches)

    def _error(self, what: str) -> PatternError:
        return PatternError(f"{what}, at character {self._at + 1}")

    def _peek(self) -> str:
        return self._text[self._at] if self._at < self._end else ""

    def _next(self) -> str:
        if self._at >= self._end:
            raise self._error("ends too early")
        self._at += 1
        return self._text[self._at - 1]

    def _branches(self) -> list[Language]:
        branches = [self._branch()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._branch())
        return branches

    def _branch(self) -> Language:
        parts: list[Language] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._times(self._atom()))
        return sequence(*parts)

    def _times(self, atom: Language) -> Language:
        sign = self._peek()
        if sign not in ("*", "+", "?", "{"):
            return atom
        self._at += 1
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(sign) or self._counts()
        if self._peek() in ("*", "+", "?", "{") and self._peek():
            raise self._error("has one repeat behind another (lazy and possessive ones mean nothing here)")
        return repeated(atom, least, most)

    def _counts(self) -> tuple[int, int | None]:
        close = self._text.find("}", self._at, self._end)
        low, comma, high = self._text[self._at : close].partition(",")
        if close < 0 or not low.isdecimal() or not (high.isdecimal() or not high):
            raise self._error("has a { that is no {m}, {m,} or {m,n}; write \\{ for a brace")
        least, most = int(low), (int(high) if high else None) if comma else int(low)
        if max(least, most or 0) > MOST_TIMES or (most is not None and most < least):
            raise self._error(f"repeats {low}{comma}{high} times; 0 to {MOST_TIMES:,} are taken, the lower first")
        self._at = close + 1
        return least, most

    def _atom(self) -> Language:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._one_of(self._class())
        if character == ".":
            return self._one_of(_ANY)
        if character == "\\":
            return self._one_of(self._escaped())
        if character in "*+?{":
            self._at -= 1
            raise self._error(f"repeats nothing with {character}")
        if character in "^$":
            self._at -= 1
            raise self._error(f"has {character} within it; the whole text is meant anyway")
        return self._one_of([(ord(character), ord(character))])

    def _group(self) -> Language:
        if self._peek() == "?":
            if self._text[self._at : self._at + 2] != "?:":
                raise self._error("has a (? that is no (?:...), which is all that is taken")
            self._at += 2
        branches = self._branches()
        if self._peek() != ")":
            raise self._error("has a ( without its )")
        self._at += 1
        return either(branches)

    def _class(self) -> Ranges:
        ranges: list[tuple[int, int]] = []
        begin = self._at
        if opposite := self._peek() == "^":
            self._at += 1
        first = True
        while first or self._peek() != "]":
            low = self._class_member()
            first = False
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high = self._class_member()
                if len(low) > 1 or len(high) > 1 or low[0][0] > high[0][0]:
                    raise self._error("has a range whose end is before its start")
                low = [(low[0][0], high[0][1])]
            ranges += low
        named = any(f"\\{name}" in self._text[begin : self._at].lower() for name in _SETS)
        self._at += 1
        return complement(ranges, ASCII if named else TOP) if opposite else ranges

    def _class_member(self) -> list[tuple[int, int]]:
        character = self._next()
        return list(self._escaped()) if character == "\\" else [(ord(character), ord(character))]

    def _escaped(self) -> Ranges:
        character = self._next()
        if character.lower() in _SETS:
            ranges = _SETS[character.lower()]
            return ranges if character.islower() else complement(ranges, ASCII)
        if character in "xu":
            digits = self._text[self._at : self._at + (2 if character == "x" else 4)]
            try:
                code = int(digits, 16)
            except ValueError:
                raise self._error(f"has \\{character} without its hexadecimal digits") from None
            self._at += len(digits)
            return [(code, code)]
        if character in _CONTROLS:
            return [(_CONTROLS[character], _CONTROLS[character])]
        if character.isalnum():
            raise self._error(f"has \\{character}, which is not taken")
        return [(ord(character), ord(character))]


def complement(ranges: Ranges, top: int = TOP) -> Ranges:
    """All other characters up to the last, `top`."""
    others, start = [], 0
    for first, last in sorted(ranges):
        if first > start:
            others.append((start, first - 1))
        start = max(start, last + 1)
    return [*others, (start, top)] if start <= top else others
