"""Two entities marked in a text, as in `the <e1>mill</e1> by the <e2>river</e2>`: checked, or made from spans."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kerasft.data.sources.edges import trimmed_span
from kerasft.data.sources.literals import read_list
from kerasft.errors import BadRow
from kerasft.quoting import quoted

_SPAN = re.compile(r"[\s\[(]*(\d+)[\s,:]+(\d+)[\s\])]*")


class Markers:
    """The four markers of two entities.

    Args:
        tags: the names of both entities, such as `("e1", "e2")`.

    Attributes:
        tokens: (4,) opening and closing marker of the first entity, then of the second.
    """

    def __init__(self, tags: Sequence[str]):
        self.tokens = tuple(marker for tag in tags for marker in (f"<{tag}>", f"</{tag}>"))
        self._pattern = re.compile("|".join(re.escape(token) for token in self.tokens))

    def check(self, text: str, where: str) -> str:
        """A marked text -> itself.

        Raises:
            BadRow: a marker is missing or doubled, an entity is empty, or the two overlap.
        """
        matches = {token: [] for token in self.tokens}
        for match in self._pattern.finditer(text):
            matches[match.group()].append(match)
        for token, occurrences in matches.items():
            if not occurrences:
                raise _bad(where, f"the marker {token} is missing", f"write {self._example()}", "a missing marker")
            if len(occurrences) > 1:
                fix = "mark two entities a row, and give a row to each pair"
                raise _bad(where, f"the marker {token} occurs {len(occurrences)} times", fix, "a doubled marker")
        spans = [
            (matches[opening][0].end(), matches[closing][0].start())
            for opening, closing in (self.tokens[:2], self.tokens[2:])
        ]
        for (start, end), opening, closing in zip(spans, self.tokens[::2], self.tokens[1::2]):
            if start > end:
                raise _bad(where, f"{closing} stands before {opening}", "swap them", "crossed markers")
            if not text[start:end].strip():
                raise _bad(where, f"nothing stands between {opening} and {closing}", "mark a word", "an empty entity")
        if spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]:
            fix = "close one entity before the other opens"
            raise _bad(where, f"the entities of {' '.join(self.tokens)} overlap", fix, "crossed markers")
        return text

    def remove(self, text: str) -> str:
        """A text without its markers."""
        return self._pattern.sub("", text)

    def parts(self, text: str) -> tuple[str, list[tuple[int, int]]]:
        """A checked text -> itself without markers, and (start, end) of each entity in that."""
        places, plain, at = dict.fromkeys(self.tokens, 0), "", 0
        for match in self._pattern.finditer(text):
            plain += text[at : match.start()]
            places[match.group()], at = len(plain), match.end()
        opening, closing = self.tokens[::2], self.tokens[1::2]
        return plain + text[at:], [(places[start], places[end]) for start, end in zip(opening, closing)]

    def surround(self, text: str, spans: Sequence[tuple[int, int]]) -> str:
        """A text without markers and (start, end) of each entity, which don't overlap -> the marked text."""
        opened = [(tuple(span), self.tokens[2 * i : 2 * i + 2]) for i, span in enumerate(spans)]
        for (start, end), (opening, closing) in sorted(opened, reverse=True):  # from the end, so that offsets hold
            text = f"{text[:start]}{opening}{text[start:end]}{closing}{text[end:]}"
        return text

    def insert(self, text: str, spans: Sequence[Any], columns: Sequence[str], where: str) -> str:
        """A text without markers and two spans -> the marked text.

        Args:
            text: as the spans count it.
            spans: of each entity (start, end) in code points, the end exclusive; a list, or a text such as `4,10`.
            columns: their names, for errors.
            where: the row's place.

        Raises:
            BadRow: a span is none, lies outside the text or is empty, the two overlap, or the text has markers.
        """
        if match := self._pattern.search(text):
            fix = "remove the markers or the columns of spans"
            raise _bad(where, f"the text has spans and the marker {match.group()} too", fix, "markers besides spans")
        pairs = [_span(span, text, column, where) for span, column in zip(spans, columns)]
        first, second = sorted(pairs)
        if first[1] > second[0]:
            what = f"the spans {list(pairs[0])} ({columns[0]}) and {list(pairs[1])} ({columns[1]}) overlap"
            raise _bad(where, what, "give spans without common characters", "overlapping spans")
        return self.surround(text, pairs)

    def _example(self) -> str:
        return "{}one{} and {}other{}".format(*self.tokens)


def _span(span: Any, text: str, column: str, where: str) -> tuple[int, int]:
    """Start and end of an entity, without what is blank at its edges."""
    match = _SPAN.fullmatch(span) if isinstance(span, str) else None
    numbers = [int(number) for number in match.groups()] if match else span
    if isinstance(numbers, str):
        numbers = read_list(numbers)
    if not isinstance(numbers, list) or len(numbers) != 2 or any(type(number) is not int for number in numbers):
        fix = "a start and an end are needed, such as [4, 10]"
        raise _bad(where, f"column {column!r} is {quoted(span)}", fix, "a span that is none")
    start, end = numbers
    if not 0 <= start < end <= len(text):
        fix = f"0 <= start < end <= {len(text)}, the text's length in code points, is needed"
        raise _bad(where, f"column {column!r} is [{start}, {end}]", fix, "a span outside its text")
    begin, stop = trimmed_span(text, start, end)
    if begin == stop:
        fix = "move it to a word"
        raise _bad(where, f"column {column!r} is [{start}, {end}], which is white space", fix, "an empty entity")
    return begin, stop


def _bad(where: str, what: str, fix: str, kind: str) -> BadRow:
    return BadRow(f"{where}: {what}; {fix}", kind)
