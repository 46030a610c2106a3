"""Whether a span ends where words do."""

from __future__ import annotations

from kerasft.data.sources.scripts import unspaced


def inside_word(text: str, start: int, end: int) -> bool:
    """Whether a span of code points begins or ends between two letters or digits of one word.

    Chinese and Japanese have no such borders: each character may begin a word.
    """
    return _joined(text, start) or _joined(text, end)


def _joined(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    return before.isalnum() and after.isalnum() and not (unspaced(before) or unspaced(after))
