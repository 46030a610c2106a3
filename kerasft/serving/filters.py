"""Filters of texts, as `serving.filters` has them; without a server. No text that was stopped is in a message."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kerasft.config.serving import FilterConfig
from kerasft.data.sources.scripts import unspaced
from kerasft.serving.adapter_facts import KEY as ADAPTERS
from kerasft.serving.personal_data import Span, spans

# Characters that nobody sees: they may stand between letters so that a word is not found.
_UNSEEN = "[\u00ad\u034f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]*"
# Texts -> of each, the label and its score.
Classify = Callable[[Sequence[str]], Sequence[tuple[str, float]]]


class Hit(NamedTuple):
    """A filter that found something.

    Attributes:
        filter: which.
        row: number of the text.
        spans: where in the text; of a classifier, all of it.
    """

    filter: FilterConfig
    row: int
    spans: Sequence[Span]


class TextFilter:
    """One filter.

    Args:
        config: of it.
        classify: its model, where it has one.
    """

    def __init__(self, config: FilterConfig, classify: Classify | None = None):
        self.config, self._classify = config, classify
        self._words = _pattern(config.words) if config.words is not None else None
        if (config.model is None) != (classify is None):
            raise ValueError(f"{config.name}: a filter by a model needs one, and no other does")

    def on(self, side: str) -> bool:
        """Whether it looks at texts of a side, `input` or `output`."""
        return self.config.on in (side, "both")

    def hits(self, texts: Sequence[str]) -> list[Hit]:
        """What it finds, a hit for each text that has something."""
        if self._classify is not None:
            stopped = set(self.config.labels)
            found = [
                [(0, len(text))] if label in stopped and score >= self.config.threshold else []
                for text, (label, score) in zip(texts, self._classify(texts), strict=True)
            ]
        else:
            found = [self._spans(text) for text in texts]
        return [Hit(self.config, row, each) for row, each in enumerate(found) if each]

    def _spans(self, text: str) -> list[Span]:
        if self._words is not None:
            return [match.span() for match in self._words.finditer(folded(text))]
        return spans(text, self.config.patterns or ())


def folded(text: str) -> str:
    """The text in small letters of usual width, character by character, so that places stay."""
    if text.isascii():
        return text.lower()
    signs = []
    for sign in text:
        small = unicodedata.normalize("NFKC", sign).lower()
        signs.append(small if len(small) == 1 else sign)
    return "".join(signs)


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Whole words, the longest first; of scripts without spaces, anywhere."""
    parts = []
    for word in sorted({folded(word.strip()) for word in words}, key=lambda word: (-len(word), word)):
        letters = _UNSEEN.join(re.escape(sign) if not sign.isspace() else r"\s+" for sign in re.sub(r"\s+", " ", word))
        left = "" if unspaced(word[0]) or not word[0].isalnum() else r"(?<!\w)"
        right = "" if unspaced(word[-1]) or not word[-1].isalnum() else r"(?!\w)"
        parts.append(f"{left}{letters}{right}")
    return re.compile("|".join(parts))


def masked(text: str, name: str, places: Sequence[Span]) -> str:
    """The text with [NAME] where something was found; places that overlap are one."""
    for start, end in reversed(merged(places)):
        text = f"{text[:start]}{mask_of(name)}{text[end:]}"
    return text


def mask_of(name: str) -> str:
    """What stands where the filter of this name found something."""
    return f"[{name}]"


def merged(places: Sequence[Span]) -> list[Span]:
    """Places in order; those that overlap or touch are one."""
    found: list[Span] = []
    for start, end in sorted(places):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def filters_of(facts: Mapping[str, Any]) -> list[FilterConfig]:
    """What kerasft.json of an export holds -> its filters, each once; none in exports of before there were any.

    With several adapters they are those of the config that exports them, and of each adapter's run: all of them look
    at every row.
    """
    configs = [facts, facts.get("config", {}), *(each["config"] for each in facts.get(ADAPTERS, {}).values())]
    found: list[FilterConfig] = []
    for config in configs:
        for each in config.get("serving", {}).get("filters", ()):
            filter_ = FilterConfig.model_validate(each)
            if filter_ not in found:
                found.append(filter_)
    return found
