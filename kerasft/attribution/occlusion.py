"""Occlusion: a word is hidden, and the answer is looked at again (Zeiler and Fergus 2014, arXiv:1311.2901)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasft.attribution.base import Attributed, Attribution, Question

if TYPE_CHECKING:
    from kerasft.attribution.vectors import VectorModel


class Occlusion(Attribution):
    """What the number loses where every piece of a word is the mask token, one word after the other.

    A word is hidden and not cut out, so that all other words keep their places. What two words do only together is
    counted for both, or for none: the parts need not add up.
    """

    name = "occlusion"
    complete = False
    needs_gradients = False

    def attribute(self, model: VectorModel, questions: Sequence[Question]) -> list[Attributed]:
        rows, ids = [], []
        for question in questions:
            token_ids = question.features["token_ids"]
            words = np.arange(question.count)[question.read()]
            hidden = [np.where(question.words == word, model.baseline, token_ids) for word in words]
            ids += [token_ids, np.where(question.words >= 0, model.baseline, token_ids), *hidden]
            rows += [question] * (2 + len(words))
        scores, results, start = model.scores(rows, ids), [], 0
        for question in questions:
            read = question.read()
            value, baseline = scores[start : start + 2]
            parts = np.zeros(question.count)
            parts[read] = value - scores[start + 2 : start + 2 + read.sum()]
            start += 2 + int(read.sum())
            results.append(Attributed(parts, 0.0, float(value), float(baseline)))
        return results
