"""Which language a text is in: by py3langid's model, which is inside its wheel (Lui and Baldwin 2012, langid.py)."""

from __future__ import annotations

import functools
import heapq
import importlib.util
from collections import Counter
from collections.abc import Iterator
from typing import Any

from kerasft.data.quality.base import Check, Finding, Inspected, SplitRows, clean_line
from kerasft.data.quality.folding import text_key
from kerasft.data.sources.scripts import unspaced
from kerasft.errors import UserError
from kerasft.invocation import install_command

UNKNOWN = ""
FEWEST_LETTERS = 20  # a shorter text is no evidence: `ok danke` is found to be many things
FEWEST_SIGNS = 6  # of Chinese or Japanese
SUREST = 0.8  # least probability of a language that is told
SURE_BY_SCRIPT = 0.5  # where the script leaves few to choose from
MOST_TEXTS = 2000  # of a split that an inspection looks at: those whose digests are least, whatever their order
SHOWN = 5  # languages in a sentence


def check_installed(key: str) -> None:
    """Raises UserError where py3langid is not installed; `key` asks for it."""
    if not is_installed():
        raise UserError(f"{key} needs the package py3langid; install it: {install_command('quality')}")


def is_installed() -> bool:
    return importlib.util.find_spec("py3langid") is not None


def language_of(text: str) -> str:
    """The code (ISO 639-1) of a text's language; "" where it is too short, or might be several."""
    letters, signs = sum(map(str.isalpha, text)), sum(map(unspaced, text))
    if letters < FEWEST_LETTERS and signs < FEWEST_SIGNS:
        return UNKNOWN
    code, chance = _identifier().classify(text)
    return code if chance >= (SURE_BY_SCRIPT if 2 * signs > letters else SUREST) else UNKNOWN


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


class LanguagesOfTexts(Check):
    """Languages of the texts of each split, and rows in another one than most of train."""

    kinds = {"languages": "info", "other_languages": "info"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        if not is_installed():
            what = f"languages were not looked for; to do it: {install_command('quality')}"
            yield Finding("languages", "train", 0, "info", what)
            return
        main: str | None = None
        for rows in data:
            found = {row: language_of(" ".join(rows.read_texts[row])) for row in sample(rows)}
            counts = Counter(code for code in found.values() if code != UNKNOWN)
            if not counts:
                continue
            main = main or min(counts, key=lambda code: (-counts[code], code))
            detail = dict(counts.most_common()) | {"unknown": len(found) - sum(counts.values())}
            some = f" of {len(found):,} that were looked at" if len(found) < len(rows) else ""
            what = ", ".join(f"{code} ({count:,})" for code, count in counts.most_common(SHOWN))
            what += f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
            what = f"languages of the texts{some}: {what}; {detail['unknown']:,} are too short or not sure"
            yield Finding("languages", rows.name, len(counts), "info", what, detail={"languages": detail})
            others = {row: code for row, code in sorted(found.items()) if code not in (UNKNOWN, main)}
            if others:
                fix = clean_line(rows, "languages", "drop")
                yield self.finding("other_languages", rows, others, f"are not in {main}", fix, others, expected=main)


def sample(rows: SplitRows) -> list[int]:
    """Numbers of the rows that are looked at, the same ones whatever their order."""
    if len(rows) <= MOST_TEXTS:
        return list(range(len(rows)))
    digests = ((text_key(texts, str), row) for row, texts in enumerate(rows.read_texts))
    return sorted(row for _, row in heapq.nsmallest(MOST_TEXTS, digests))
