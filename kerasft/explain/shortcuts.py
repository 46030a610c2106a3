"""What each label hangs on: its words over a whole split, and those without which answers change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.attribution.explainer import Asked
from kerasft.attribution.vectors import VectorModel
from kerasft.attribution.words import split_words

LARGEST_SHARE = 0.2  # of a label's texts: a word that changes more than these is a shortcut
FEWEST_TEXTS = 5  # of a label
MOST_WORDS = 5  # of a label that are listed


def one_word_hidden(model: VectorModel, asked: Sequence[Asked], most_words: int) -> list[dict[str, tuple[float, bool]]]:
    """For each text: word, in small letters -> what its label's logit loses without it, and whether the answer changes.

    A word that stands there several times is hidden everywhere.

    Args:
        model: whose logits are (rows, labels).
        asked: the answer of each text.
        most_words: different words of a text that are tried, the first ones.
    """
    found: list[dict[str, tuple[float, bool]]] = []
    for one in asked:
        places: dict[str, list[int]] = defaultdict(list)
        for number, word in enumerate(one.words):
            places[one.texts[word.column][word.start : word.end].lower()].append(number)
        words, ids = one.question.words, one.question.features["token_ids"]
        names = list(places)[:most_words]
        hidden = [ids, *(np.where(np.isin(words, places[name]), model.baseline, ids) for name in names)]
        logits = model.logits(one.question, hidden)  # (1 + words, labels)
        label = int(one.question.index[0, 0])
        found.append(
            {
                name: (float(logits[0, label] - row[label]), bool(row.argmax() != logits[0].argmax()))
                for name, row in zip(names, logits[1:])
            }
        )
    return found


def label_words(labels: Sequence[Any], hidden: Sequence[dict[str, tuple[float, bool]]]) -> dict[str, Any]:
    """Label -> its texts and words: `flips`, the share of the label's texts whose answer hangs on the word, and the
    mean `drop` of the logit over the texts that have it; those on which most hangs first.

    Args:
        labels: the answer to each text.
        hidden: of `one_word_hidden`.
    """
    texts: dict[Any, int] = defaultdict(int)
    sums: dict[Any, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0, 0.0]))
    for label, words in zip(labels, hidden, strict=True):
        texts[label] += 1
        for word, (drop, flips) in words.items():
            row = sums[label][word]
            row[0], row[1], row[2] = row[0] + drop, row[1] + flips, row[2] + 1
    found = {}
    for label, count in texts.items():
        if count < FEWEST_TEXTS:
            continue
        rows = [
            {"word": word, "flips": flips / count, "drop": drop / seen, "texts": int(seen)}
            for word, (drop, flips, seen) in sums[label].items()
        ]
        rows.sort(key=lambda row: (-row["flips"], -row["drop"] * row["texts"], row["word"]))
        found[str(label)] = {"texts": count, "words": rows[:MOST_WORDS]}
    return found


def shortcuts(words: dict[str, Any]) -> list[dict[str, Any]]:
    """The words without which more than LARGEST_SHARE of a label's answers change.

    Those that the label is not named after come first, the worst first: `disposable` is no surprise for the label
    `disposable_card`. `named` says which they are.
    """
    found = [
        {"label": label, "named": row["word"] in _words(label), **row}
        for label, each in words.items()
        for row in each["words"]
        if row["flips"] > LARGEST_SHARE
    ]
    return sorted(found, key=lambda row: (row["named"], -row["flips"], -row["drop"]))


def _words(label: str) -> set[str]:
    """The words of a label's name, cut as those of a text."""
    name = label.lower().replace("_", " ")
    return {name[start:end] for start, end in split_words(name)}
