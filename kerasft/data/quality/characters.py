"""Characters that should not be there: what was decoded wrongly, controls, and what nobody sees."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kerasft.data.quality.base import Check, Finding, Inspected, clean_line

CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
INVISIBLE = re.compile(r"[\u200b\u2060\ufeff\u00ad\u202a-\u202e\u2066-\u2069]")
# UTF-8 that was read as Windows-1252 or Latin-1. The bytes 80 to BF are these characters there:
_HIGH = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
# Each pattern takes what no language writes; `CAFÉ»` and `voilà…»` are French and stay out.
MOJIBAKE = re.compile(
    "[ÂÃ][\xa0-\xbf\x80-\x9f€™˜œ‚ƒ„†‡ˆ‰Š‹ŒŽžŸ]"  # é as Ã©, a no-break space as Â
    f"|â[€‚ƒ„…†‡ˆ‰Š‹Œ\x80-\x8f][{_HIGH}]"  # ’ as â€™
    f"|ð[Ÿ\x9f][{_HIGH}][{_HIGH}]"  # emoji
    f"|(?:[ÐÑ][{_HIGH}]){{2}}"  # Cyrillic
    f"|(?:[ã-é][{_HIGH}]{{2}}){{2}}"  # Chinese, Japanese and Korean
    "|\ufffd|锟斤拷|烫烫烫|ï»¿"  # replacements, a byte order mark
)

REPAIRED = ("mojibake", "control_characters")  # what `data.clean.normalise` is about


class Characters(Check):
    """Rows with wrongly decoded texts, control characters, or characters that nobody sees."""

    kinds = {"mojibake": "warning", "control_characters": "warning", "invisible_characters": "info"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        patterns = {
            "mojibake": (
                MOJIBAKE,
                "seem to be decoded wrongly",
                "data.encoding: that of the file, or texts from an undamaged source",
            ),
            "control_characters": (CONTROLS, "have control characters", "remove them from the texts"),
            "invisible_characters": (INVISIBLE, "have characters that nobody sees", ""),
        }
        for rows in data:
            for kind, (pattern, what, fix) in patterns.items():
                matches = [row for row, texts in enumerate(rows.texts) if any(map(pattern.search, texts))]
                if matches:
                    if kind in REPAIRED and rows.name == "train":
                        fix = f"{fix}; or {clean_line(rows, 'normalise', 'fix')}"
                    yield self.finding(kind, rows, matches, what, fix)
