"""Texts that say nothing: empty ones, signs alone, words for a missing value."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from kerasft.data.quality.base import Check, Finding, Inspected, clean_line

# What programs and people write where there is no value.
MISSING = frozenset(
    "na n/a n.a. nan nil none null undefined unknown missing empty -nan #n/a #null! (null) <na> nat void "
    "无 空 暂无 未知 缺失".split()
)


class Blanks(Check):
    """Rows with an empty text, one without a letter or digit, or one that is a word for a missing value.

    Where a text is to be written, it is a target.
    """

    kinds = {
        "empty_texts": "warning",
        "empty_targets": "warning",
        "signs_alone": "info",
        "missing_values": "warning",
    }

    def find(self, data: Inspected) -> Iterator[Finding]:
        for rows in data:
            empty, targets, signs, missing = [], [], [], []
            needed = [at for at, name in enumerate(data.task.texts) if name not in data.task.may_be_empty]
            outputs = [at for at, name in enumerate(data.task.texts) if name not in data.task.source_texts]
            for row, texts in enumerate(rows.texts):
                stripped = [texts[at].strip() for at in needed]
                if not all(stripped):
                    (targets if any(not texts[at].strip() for at in outputs) else empty).append(row)
                elif any(text.lower() in MISSING for text in stripped):
                    missing.append(row)
                elif not all(any(unicodedata.category(sign)[0] in "LN" for sign in text) for text in stripped):
                    signs.append(row)
            if empty:
                yield self.finding("empty_texts", rows, empty, "have an empty text", clean_line(rows, "empty", "drop"))
            if targets:
                fix = clean_line(rows, "empty", "drop")
                yield self.finding("empty_targets", rows, targets, "have nothing that is to be written", fix)
            if missing:
                what = "have a word for a missing value as a text, such as NA, null or None"
                yield self.finding("missing_values", rows, missing, what, "write the texts, or remove the rows")
            if signs:
                yield self.finding("signs_alone", rows, signs, "have a text without a letter or digit")
