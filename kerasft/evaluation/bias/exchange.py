"""Counterfactual exchange: the same text with the words of another group (Garg et al. 2019, arXiv:1809.10610)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.data.quality.group_words import GroupWords
from kerasft.evaluation.statistics import clustered_share

MOST_EXAMPLES = 10
Row = Mapping[str, str]
# Rows of input -> their answers in a form in which equal ones are equal, and the score of each.
Ask = Callable[[Sequence[dict[str, str]]], tuple[Sequence[Hashable], Sequence[float]]]


def exchanged_rows(rows: Sequence[Row], words: GroupWords) -> list[tuple[int, str, str, dict[str, str]]]:
    """(row's number, its group, other group, changed row) for every row that speaks of one group, and every other."""
    return [
        (number, words.group(" ".join(row.values())), other, changed)
        for number, row in enumerate(rows)
        for other, changed in words.others(row)
    ]


def exchange(rows: Sequence[Row], words: GroupWords, ask: Ask) -> dict[str, Any]:
    """How many answers change where the group does, which way, and by how much scores move.

    Args:
        rows: of input.
        words: of one aspect.
        ask: answers rows.

    Returns:
        rows (exchanged texts), texts (that they were made of), flipped (a share of the exchanged texts; its interval
        counts those of one text as one cluster), mean_change of the score (absolute), pairs {from -> to: {rows,
        flipped}} and examples of texts whose answer changed.
    """
    changed = exchanged_rows(rows, words)
    numbers = sorted({number for number, *_ in changed})
    before, scores = ask([dict(rows[number]) for number in numbers]) if numbers else ((), ())
    place = {number: index for index, number in enumerate(numbers)}
    after, new_scores = ask([row for *_, row in changed]) if changed else ((), ())
    pairs: dict[str, list[bool]] = {}
    of_text: dict[int, list[bool]] = {}
    moves, examples = [], []
    for (number, source, other, row), answer, score in zip(changed, after, new_scores):
        old, old_score = before[place[number]], scores[place[number]]
        flipped = answer != old
        pairs.setdefault(f"{source} -> {other}", []).append(flipped)
        of_text.setdefault(number, []).append(flipped)
        moves.append(abs(score - old_score))
        if flipped and len(examples) < MOST_EXAMPLES:
            examples.append({"text": _joined(rows[number]), "changed": _joined(row), "before": old, "after": answer})
    return {
        "rows": len(changed),
        "texts": len(of_text),
        "flipped": _share(of_text.values()),
        "mean_change": float(np.mean(moves)) if moves else None,
        "pairs": {
            name: {"rows": len(each), "flipped": _share([flip] for flip in each)} for name, each in pairs.items()
        },
        "examples": examples,
    }


def _share(clusters: Iterable[Sequence[bool]]) -> dict[str, Any]:
    each = list(clusters)
    return clustered_share([sum(flips) for flips in each], [len(flips) for flips in each])


def _joined(row: Row) -> str:
    return " | ".join(row.values())
