"""Owen values over a tree of words: Shapley values of neighbours first, as SHAP's Partition explainer makes them.

Shapley values (Lundberg and Lee 2017, arXiv:1705.07874) of all subsets of words would take 2^words passes. In a tree,
halves of the text join before their words do (Owen 1977), which takes few passes for what matters most.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kerasft.attribution.base import Attributed, Attribution, Question

if TYPE_CHECKING:
    from kerasft.attribution.vectors import VectorModel

MOST_PASSES = 200  # of each question
AT_ONCE = 8  # nodes of a question that are divided between two calls of the model


class _Node(NamedTuple):
    """Words [start, end) that join together, beside those of `shown`: what that changes, and how much it counts."""

    order: tuple[float, int]  # smallest first: the largest change, then the oldest
    start: int
    end: int
    shown: frozenset[int]
    without: float
    together: float
    weight: float


class TreeShap(Attribution):
    """What the words of a text add, by halves, quarters and so on of the text, each with and without its sibling.

    The half whose joining changes most is divided first. What is not divided when the passes are spent is shared
    evenly by its words, so that the parts always add up.

    Args:
        passes: of the model, for each question.
    """

    name = "shap"
    complete = True
    needs_gradients = False

    def __init__(self, passes: int = MOST_PASSES):
        self.passes = passes

    def attribute(self, model: VectorModel, questions: Sequence[Question]) -> list[Attributed]:
        trees = [_Tree(question, self.passes) for question in questions]
        while asked := [(tree, shown) for tree in trees for shown in tree.wanted()]:
            rows = [tree.question for tree, _ in asked]
            ids = [tree.token_ids(shown, model.baseline) for tree, shown in asked]
            for (tree, shown), score in zip(asked, model.scores(rows, ids)):
                tree.known[shown] = float(score)
            for tree in trees:
                tree.divide()
        return [tree.result() for tree in trees]


class _Tree:
    """One question: what is known of its subsets of words, and which parts are still to be divided."""

    def __init__(self, question: Question, passes: int):
        self.question, self.passes = question, passes
        self.words = np.flatnonzero(question.read()).tolist()  # those that the model reads
        self.everything, self.nothing = frozenset(self.words), frozenset[int]()
        self.known: dict[frozenset[int], float] = {}
        self.parts = np.zeros(question.count)
        self._heap: list[_Node] | None = None
        self._taken: list[_Node] = []
        self._nodes = 0

    def token_ids(self, shown: frozenset[int], baseline: int) -> np.ndarray:
        """Those of the row, with the baseline at every word that is not shown."""
        words = self.question.words
        hidden = (words >= 0) & ~np.isin(words, list(shown))
        return np.where(hidden, baseline, self.question.features["token_ids"])

    def wanted(self) -> list[frozenset[int]]:
        """Subsets whose number is asked for next; none: all is done."""
        if self._heap is None:
            return [self.everything, self.nothing]
        asked: set[frozenset[int]] = set()
        while self._heap and len(self._taken) < AT_ONCE:
            new = {shown for shown in self._halves(self._heap[0]) if shown not in self.known} - asked
            if len(self.known) + len(asked) + len(new) > self.passes:
                break
            asked |= new
            self._taken.append(heapq.heappop(self._heap))
        if self._taken and not asked:  # all known already, by other ways through the tree
            self.divide()
            return self.wanted()
        return sorted(asked, key=sorted)

    def divide(self) -> None:
        """Puts the halves of the nodes that were asked for in their places."""
        if self._heap is None:
            self._heap = []
            self._push(0, len(self.words), self.nothing, self.known[self.nothing], self.known[self.everything], 1.0)
            return
        for node in self._taken:
            middle = (node.start + node.end) // 2
            left, right = (self.known[shown] for shown in self._halves(node))
            left_words, right_words = (frozenset(self.words[a:b]) for a, b in self._bounds(node))
            half = node.weight / 2
            self._push(node.start, middle, node.shown, node.without, left, half)
            self._push(node.start, middle, node.shown | right_words, right, node.together, half)
            self._push(middle, node.end, node.shown, node.without, right, half)
            self._push(middle, node.end, node.shown | left_words, left, node.together, half)
        self._taken = []

    def result(self) -> Attributed:
        for node in self._heap or ():
            each = node.weight * (node.together - node.without) / (node.end - node.start)
            self.parts[self.words[node.start : node.end]] += each
        value, baseline = self.known[self.everything], self.known[self.nothing]
        return Attributed(self.parts, 0.0, value, baseline, len(self.known))

    def _bounds(self, node: _Node) -> tuple[tuple[int, int], tuple[int, int]]:
        middle = (node.start + node.end) // 2
        return (node.start, middle), (middle, node.end)

    def _halves(self, node: _Node) -> list[frozenset[int]]:
        return [node.shown | frozenset(self.words[start:end]) for start, end in self._bounds(node)]

    def _push(
        self, start: int, end: int, shown: frozenset[int], without: float, together: float, weight: float
    ) -> None:
        if end - start == 1:
            self.parts[self.words[start]] += weight * (together - without)
        elif end > start:
            assert self._heap is not None  # its first node was made here
            self._nodes += 1
            size = abs(together - without) * weight
            heapq.heappush(self._heap, _Node((-size, self._nodes), start, end, shown, without, together, weight))
