"""The fewest changes of words that change an answer, found by a search under a budget of queries.

With deletions it is a counterfactual explanation; with changes that a reader takes for the same text it is an attack
(TextFooler's greedy order, Jin et al. 2019, arXiv:1907.11932; character changes, Gao et al. 2018,
arXiv:1801.04354). Most substitutions that such searches find do not keep the meaning (Hauser et al. 2021,
arXiv:2109.07403): rates mean little without the pairs of texts, which are given for people to judge.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kerasft.attribution.words import split_words
from kerasft.evaluation.robustness.spelling import mistyped

BUDGET = 200  # texts that a search may ask about
LARGEST_SHARE = 0.5  # of the words that may change
KEPT = frozenset("not no never none nor n't cannot 不 没 无 非 别 未".split())  # a change of these changes the meaning
CHARACTERS = 4  # changed spellings of a word that are tried

# Texts -> label of each, and the score of the label that the text had at first.
Ask = Callable[[Sequence[str], str], Sequence[tuple[str, float]]]
Candidates = Callable[[str], Sequence[str]]  # a word -> what may stand there instead; "" to leave it out


@dataclass
class Edited:
    """What a search found.

    Attributes:
        text: changed.
        label: of the changed text.
        edits: {start, end, text, with}: code points and words of the original text, and what stands there instead.
        queries: texts that were asked about.
        words: of the original text.
    """

    text: str
    label: str
    queries: int
    words: int
    edits: list[dict[str, Any]] = field(default_factory=list)


class _Budget(Exception):
    """The queries are spent."""


class _Search:
    """One text, its words, and what stands at each of them."""

    def __init__(self, text: str, ask: Ask, budget: int):
        self.text, self.words, self.queries, self.budget = text, split_words(text), 0, budget
        self._ask = ask
        ((self.label, self.score),) = ask([text], "")
        self.queries = 1

    def written(self, changes: dict[int, str]) -> str:
        """The text with words replaced; a word that is left out takes the space before it along."""
        text = self.text
        for number in sorted(changes, reverse=True):
            start, end = self.words[number]
            if not changes[number]:
                start = start - 1 if start and text[start - 1] == " " else start
            text = text[:start] + changes[number] + text[end:]
        return text.strip() if "" in changes.values() else text

    def tried(self, several: Sequence[dict[int, str]]) -> list[tuple[bool, float, str]]:
        """For each set of changes: whether the answer is another, the first label's score, the answer."""
        if self.queries + len(several) > self.budget:
            raise _Budget
        self.queries += len(several)
        answers = self._ask([self.written(changes) for changes in several], self.label)
        return [(label != self.label, score, label) for label, score in answers]


def fewest_edits(text: str, ask: Ask, candidates: Candidates, budget: int = BUDGET) -> Edited | None:
    """A changed text with another answer, of which no single change can be taken back; None: none was found.

    Words are tried in the order of what the score loses without them. At each the change that costs the score most
    stays, until the answer changes; of a long text the first words alone, half as many as the budget.
    Then changes that are not needed are taken back.

    Args:
        text: whose answer is to change.
        ask: answers texts.
        candidates: what may stand for a word.
        budget: texts that may be asked about.
    """
    search = _Search(text, ask, budget)
    try:
        changes, label = _found(search, candidates)
        if changes is None:
            return None
        changes, label = _pruned(search, changes, label)
    except _Budget:
        return None
    edits = [
        {"start": start, "end": end, "text": text[start:end], "with": changes[number]}
        for number, (start, end) in enumerate(search.words)
        if number in changes
    ]
    return Edited(search.written(changes), label, search.queries, len(search.words), edits)


def _found(search: _Search, candidates: Candidates) -> tuple[dict[int, str] | None, str]:
    open_words = [
        number
        for number, (start, end) in enumerate(search.words)
        if _changeable(search.text[start:end]) and candidates(search.text[start:end])
    ]
    if not open_words:
        return None, search.label
    open_words = open_words[: max(1, search.budget // 2)]  # the rest of the queries is for the changes
    without = search.tried([{number: ""} for number in open_words])
    order = [number for _, number in sorted(zip([score for _, score, _ in without], open_words))]
    changes: dict[int, str] = {}
    score = search.score
    for number in order[: max(1, int(LARGEST_SHARE * len(search.words)))]:
        start, end = search.words[number]
        options = [changes | {number: other} for other in candidates(search.text[start:end])]
        results = search.tried(options)
        flipped = [index for index, (other, _, _) in enumerate(results) if other]
        best = min(flipped or range(len(results)), key=lambda index: results[index][1])
        if flipped:
            return options[best], results[best][2]
        if results[best][1] < score:
            changes, score = options[best], results[best][1]
    return None, search.label


def _pruned(search: _Search, changes: dict[int, str], label: str) -> tuple[dict[int, str], str]:
    for number in list(changes):
        fewer = {other: word for other, word in changes.items() if other != number}
        if not fewer:
            break
        ((flipped, _, new),) = search.tried([fewer])
        if flipped:
            changes, label = fewer, new
    return changes, label


def _changeable(word: str) -> bool:
    return word.lower() not in KEPT and not word.lower().endswith("n't") and not any(sign.isdigit() for sign in word)


def misspellings(word: str) -> list[str]:
    """A few spellings with one letter wrong, the same for the same word; of words with at least three letters."""
    if len(word) < 3 or not word.isalpha():
        return []
    draw = random.Random(word)
    return list(dict.fromkeys(mistyped(word, draw) for _ in range(CHARACTERS)))


def left_out(word: str) -> list[str]:
    """The word is left out."""
    return [""]
