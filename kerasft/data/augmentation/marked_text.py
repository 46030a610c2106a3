"""A text with the spans that answers are made of, and edits that keep them at their place."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

Bounds = tuple[int, int]


class Edit(NamedTuple):
    """Code points `start` to `end` of a text become `new`; with start = end it is put in there."""

    start: int
    end: int
    new: str

    @property
    def grows(self) -> int:
        """By how many code points the text becomes longer."""
        return len(self.new) - (self.end - self.start)


class Span(NamedTuple):
    """A part of a text that an answer is made of; `kind` is its type, empty where it has none."""

    start: int
    end: int
    kind: str = ""


@dataclass(frozen=True)
class MarkedText:
    """A text as an augmenter sees it.

    Attributes:
        text: without markers of its spans.
        spans: in any order; they may overlap.
        words: bounds of the tokens that the text came in; () where it came as a text.
    """

    text: str
    spans: tuple[Span, ...] = ()
    words: tuple[Bounds, ...] = ()

    def mention(self, span: Span) -> str:
        """The text of a span."""
        return self.text[span.start : span.end]

    def touches(self, start: int, end: int) -> bool:
        """Whether a stretch has a code point in common with a span, or is empty and lies within one."""
        if start == end:
            return any(span.start < start < span.end for span in self.spans)
        return any(span.start < end and start < span.end for span in self.spans)

    def edited(self, edits: Sequence[Edit]) -> MarkedText:
        """The text after some edits, with all its spans and words where they are then.

        Of words those that are left; a span has what is put in before it not in it.

        Raises:
            ValueError: edits overlap, lie outside the text or cross the border of a span; a span would be empty.
        """
        edits = sorted(edits)
        if not edits:
            return self
        self._check(edits)
        parts, at = [], 0
        for edit in edits:
            parts += [self.text[at : edit.start], edit.new]
            at = edit.end
        spans = tuple(Span(*_moved(edits, span.start, span.end), span.kind) for span in self.spans)
        if any(span.start >= span.end for span in spans):
            raise ValueError("an edit leaves nothing of a span")
        words = (_moved(edits, *word) for word in self.words)
        text = "".join([*parts, self.text[at:]])
        return MarkedText(text, spans, tuple(word for word in words if word[0] < word[1]))

    def rewritten(self, edits: Sequence[Edit]) -> MarkedText | None:
        """The text after edits that know nothing of its spans: what takes the place of a part of one belongs to it.

        Returns:
            None where an edit leaves nothing of a span, or gives two typed spans that were apart a common character.
        """
        spans = tuple(_widened(span, edits) for span in self.spans)
        for one, other in itertools.combinations(range(len(spans)), 2):
            if (
                spans[one].kind
                and _overlap(spans[one], spans[other])
                and not _overlap(*(self.spans[i] for i in (one, other)))
            ):
                return None
        try:
            return MarkedText(self.text, spans, self.words).edited(edits)
        except ValueError:
            return None

    def _check(self, edits: Sequence[Edit]) -> None:
        before = 0
        for edit in edits:
            if not before <= edit.start <= edit.end <= len(self.text):
                raise ValueError(f"{edit} overlaps another or is not inside the text of {len(self.text)}")
            before = edit.end
            if any(edit.start < border < edit.end for span in self.spans for border in span[:2]):
                raise ValueError(f"{edit} crosses the border of a span")


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _widened(span: Span, edits: Sequence[Edit]) -> Span:
    """A span with the whole of each edit that a part of it lies in."""
    touching = [edit for edit in edits if edit.start < span.end and span.start < edit.end]
    start = min([span.start, *(edit.start for edit in touching)])
    return Span(start, max([span.end, *(edit.end for edit in touching)]), span.kind)


def _moved(edits: Sequence[Edit], start: int, end: int) -> Bounds:
    """Where a stretch of a text is after edits."""
    return _position(edits, start, opens=True), _position(edits, end, opens=False)


def _position(edits: Sequence[Edit], at: int, opens: bool) -> int:
    """Where a place is after edits; one within an edit is behind what the edit puts there.

    Args:
        edits: in order, without overlap.
        at: a place between two code points.
        opens: whether it is the start of a stretch: what is put in just there is then before it.
    """
    shift = 0
    for edit in edits:
        if edit.start > at or (edit.start == edit.end == at and not opens):
            break
        if edit.end <= at:
            shift += edit.grows
        elif edit.start < at:
            return edit.start + shift + len(edit.new)
    return at + shift
