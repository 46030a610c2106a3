"""Bytes of tokens, one after the other -> pieces of text that can be shown at once."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence


def streamed_text(tokens: Iterable[bytes], stops: Sequence[str] = ()) -> Iterator[str]:
    """Whole characters as soon as they are there; nothing of a stop text, and nothing behind one.

    What may still become a character or a stop text is held back. What is no UTF-8 becomes U+FFFD.

    Args:
        tokens: what each token spells.
        stops: texts that end what is shown; none empty.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pending = ""
    for final, token in _with_end(tokens):
        pending += decoder.decode(token, final=final)
        positions = [position for stop in stops if (position := pending.find(stop)) >= 0]
        if positions:
            if text := pending[: min(positions)]:
                yield text
            return
        overlap = 0 if final else max((_overlap(pending, stop) for stop in stops), default=0)
        if text := pending[: len(pending) - overlap]:
            yield text
        pending = pending[len(pending) - overlap :]


def _with_end(tokens: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
    for token in tokens:
        yield False, token
    yield True, b""


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text are the beginning of a stop text."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
