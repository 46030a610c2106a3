"""How many rows there are, how long they are, and which are surely cut."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerasft.data.quality.base import Check, Finding, Inspected, SplitRows
from kerasft.data.sources.scripts import apart


class Sizes(Check):
    """Rows, characters and words of each split. Tokens need the preset's tokenizer, and so TensorFlow: not here.

    A text with more words than the model reads tokens is cut whatever the tokenizer; how many more are, the report of a
    run says. A Chinese or Japanese character counts as a word.
    """

    kinds = {"rows": "info", "lengths": "info", "surely_cut": "warning"}

    def find(self, data: Inspected) -> Iterator[Finding]:
        for rows in data:
            what = f"{len(rows):,} rows"
            yield Finding("rows", rows.name, len(rows), "info", what)
            for name in data.task.texts:
                texts = rows.column(name)
                words = np.fromiter((len(apart(text)) for text in texts), np.int64, len(texts))
                yield self._lengths(rows, name, texts, words)
                if (limit := data.task.cut_at(name)) is not None:
                    key, most = limit
                    cut = np.flatnonzero(words > most).tolist()
                    if cut:
                        what = f"have more words in {name} than the {most} tokens of {key}, so they are cut"
                        yield self.finding("surely_cut", rows, cut, what, f"{key}: a larger number", column=name)

    def _lengths(self, rows: SplitRows, name: str, texts: list[str], words: np.ndarray) -> Finding:
        characters = np.fromiter(map(len, texts), np.int64, len(texts))
        figures = {"characters": _quantiles(characters), "words": _quantiles(words)}
        summary = "; ".join(
            f"{unit} {each['median']:g} in the middle, {each['p95']:g} at 95 %, {each['max']:g} at most"
            for unit, each in figures.items()
        )
        return Finding(
            "lengths", rows.name, len(rows), "info", f"{name}: {summary}", detail={"column": name, **figures}
        )


def _quantiles(lengths: np.ndarray) -> dict[str, float]:
    return {
        "min": float(lengths.min()),
        "median": float(np.median(lengths)),
        "p95": float(np.quantile(lengths, 0.95)),
        "max": float(lengths.max()),
    }
