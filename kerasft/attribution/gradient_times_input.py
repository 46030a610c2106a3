"""Gradient times input (Shrikumar et al. 2016, arXiv:1605.01713): one pass back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasft.attribution.base import Attributed, Attribution, Question, by_word

if TYPE_CHECKING:
    from kerasft.attribution.vectors import VectorModel


class GradientTimesInput(Attribution):
    """The gradient at the text times each token's vector: how steep the model is here, not how it got here.

    Its baseline is a vector of zeros for every token. The parts add up only where the model is linear; the gap tells
    by how much they do not.
    """

    name = "gradient_times_input"
    complete = False
    needs_gradients = True

    def attribute(self, model: VectorModel, questions: Sequence[Question]) -> list[Attributed]:
        results: list[Attributed | None] = [None] * len(questions)
        for part in model.batches(questions, 2):
            batch = [questions[i] for i in part]
            for i, tokens, value, zero in zip(part, *model.gradient_times_input(batch)):
                question = questions[i]
                words, rest = by_word(question, np.asarray(tokens)[: question.length])
                results[i] = Attributed(words, rest, float(value), float(zero))
        return [result for result in results if result is not None]
