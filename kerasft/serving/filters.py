"""Filters of texts, as `serving.filters` has them; without a server. No text that was stopped is in a message."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kerasft.config.serving import FilterConfig
from kerasft.data.sources.scripts import unspaced
from kerasft.serving.adapter_facts import KEY as ADAPTERS
from kerasft.serving.disguises import plain
from kerasft.serving.personal_data import Span, spans

_LETTERS = {" ": r"\s+", "w": "(?:w|vv)"}  # sign of a word -> what is read as it; `rn` is no m: burn is no bum
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
        self._words = Words(config.words) if config.words is not None else None
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
            return self._words.spans(text)
        return spans(text, self.config.patterns or ())


class Words:
    """Words and phrases of a filter, found whole, in any case, and in disguise (`kerasft.serving.disguises`).

    Args:
        words: accents of theirs count; where a word has none, it is found with them, too.
    """

    def __init__(self, words: Sequence[str]):
        self._searches: list[tuple[re.Pattern[str], dict[str, bool]]] = []
        accented = [word for word in words if plain(word, accents=True).text != plain(word).text]
        if bare := [plain(word).text for word in words if word not in accented]:
            self._searches.append((_pattern(bare), {}))
        if accented:
            self._searches.append((_pattern([plain(word, accents=True).text for word in accented]), {"accents": True}))
        if any("\u0400" <= sign <= "\u052f" for word in words for sign in plain(word).text):
            self._searches += [(pattern, options | {"cyrillic": True}) for pattern, options in [*self._searches]]

    def spans(self, text: str) -> list[Span]:
        """Where they stand, in code points of the text."""
        found = []
        for pattern, options in self._searches:
            if options and text.isascii():
                continue
            read = plain(text, **options)
            found += [read.span(*match.span()) for match in pattern.finditer(read.text)]
        return merged(found)


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Whole words, the longest first; of scripts without spaces, anywhere."""
    parts = []
    for word in sorted({word.strip() for word in words}, key=lambda word: (-len(word), word)):
        letters = "".join(_LETTERS.get(sign, re.escape(sign)) for sign in re.sub(r"\s+", " ", word))
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
