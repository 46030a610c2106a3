"""Texts that are the same or nearly so, within a split and between splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from kerasft.data.quality.base import Check, Finding, Inspected, SplitRows, clean_line
from kerasft.data.quality.folding import folded
from kerasft.data.quality.near import near_pairs
from kerasft.data.quality.overlap import other_answers, same_rows
from kerasft.data.quality.repeats import as_in, contradicted, earlier

MOST_CHARACTERS = 250_000_000  # of different texts together, whose 4-grams take four bytes each


class Likeness(Check):
    """Near duplicates, and what of a split that is measured on stands in one that is learnt from.

    Texts are compared as a reader sees them: marks of entities are left out. A row is near another if its texts are the
    same or their similarity is `inspect.similarity` at least.
    """

    kinds = {
        "near_duplicates": "info",
        "leaks": "error",
        "near_leaks": "warning",
        "not_compared": "info",
    }

    def find(self, data: Inspected) -> Iterator[Finding]:
        texts = {rows.name: [" ".join(map(folded, each)) for each in rows.read_texts] for rows in data}
        different = sorted({text for each in texts.values() for text in each})
        numbers = {text: number for number, text in enumerate(different)}
        ids = {name: [numbers[text] for text in each] for name, each in texts.items()}
        size = sum(map(len, different))
        near: dict[int, list[int]] = {}
        if size <= MOST_CHARACTERS:
            pairs = near_pairs(different, data.config.inspect.similarity)
            for one, other in zip(pairs.first.tolist(), pairs.second.tolist()):
                near.setdefault(one, []).append(other)
                near.setdefault(other, []).append(one)
        else:
            what = (
                f"{size:,} characters are too many to look for texts that are nearly the same; equal ones were compared"
            )
            yield Finding("not_compared", "train", len(texts["train"]), "info", what)
        for rows in data:
            yield from self._within(rows, ids[rows.name], near)
        for name, learnt in (("validation", "train"), ("test", "train"), ("test", "validation")):
            if name in data.splits and learnt in data.splits:
                yield from self._between(data.splits[name], data.splits[learnt], ids, near)

    def _within(self, rows: SplitRows, ids: list[int], near: dict[int, list[int]]) -> Iterator[Finding]:
        there: dict[int, list[int]] = {}
        for row, text in enumerate(ids):
            there.setdefault(text, []).append(row)
        first_like = {}
        for row, text in enumerate(ids):
            others = (each for other in (text, *near.get(text, ())) for each in there.get(other, ()) if each != row)
            if (least := min(others, default=None)) is not None:
                first_like[row] = least
        if first_like:
            same, later = earlier(ids), sum(other < row for row, other in first_like.items())
            answers = rows.answers
            conflicts = contradicted(ids, answers) if answers is not None else {}
            what = (
                f"have the texts of another row or nearly so, {later:,} those of an earlier one; {len(same):,} have "
                "the very same as an earlier one"
            )
            figures = {
                "with_an_earlier": later,  # in chains of texts, one like the next, this depends on their order
                "same_texts": len(same),
                "same_texts_other_answer": len(conflicts),
            }
            yield self.finding("near_duplicates", rows, first_like, what, "", as_in(rows, first_like), **figures)

    def _between(
        self, rows: SplitRows, learnt: SplitRows, ids: dict[str, list[int]], near: dict[int, list[int]]
    ) -> Iterator[Finding]:
        there: dict[int, list[int]] = {}
        for row, text in enumerate(ids[learnt.name]):
            there.setdefault(text, []).append(row)
        exact, alike = same_rows(ids[rows.name], ids[learnt.name]), {}
        for row, text in enumerate(ids[rows.name]):
            matches = [each for other in (text, *near.get(text, ())) for each in there.get(other, ())]
            if matches:
                alike[row] = matches
        fix = clean_line(learnt, "leakage", "drop_from_train")
        for kind, matches, whole, or_nearly in (
            ("leaks", exact, True, ""),
            ("near_leaks", alike, False, " or nearly so"),
        ):
            if matches:
                mine, theirs = rows.answers, learnt.answers
                other = other_answers(matches, mine, theirs, whole) if mine is not None and theirs is not None else 0
                what = f"stand in {learnt.name}{or_nearly}, too; {other:,} of them with another answer"
                notes = as_in(rows, {row: each[0] for row, each in matches.items()}, learnt)
                figures = {"in": learnt.name, "other_answer": other}
                leak = self.finding(kind, rows, matches, what, fix if whole else "", notes, **figures)
                measured = (rows.name, learnt.name) == ("test", "train")
                # What leaks into or out of validation makes the choice of weights worse, not the figures of test.
                yield leak if measured else dataclasses.replace(leak, level="warning")
