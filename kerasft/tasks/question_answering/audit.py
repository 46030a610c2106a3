"""What a model that did not learn from some questions says of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasft.tasks.base.auditable import Judgement
from kerasft.tasks.question_answering.rows import write_answers

if TYPE_CHECKING:
    from kerasft.data.prepared.questions import PreparedQuestions
    from kerasft.evaluation.answer_decoding import Decoded


def judge_answers(split: PreparedQuestions, decoded: Decoded, contexts: Sequence[str]) -> Judgement:
    """The doubt in an answer is how little the model's own shares with it: 1 - F1 of their words, as SQuAD counts it.

    Where they share nothing, the surer the model is of its own, the likelier is the other one wrong.
    """
    from kerasft.evaluation.answer_decoding import split_scores

    answers = decoded.answers
    _, f1, _ = split_scores(split, answers["start"], answers["end"])
    doubt = (1.0 - f1) * (0.5 + 0.5 * answers["score"].astype(np.float64))
    spans = ([[start], [end]] if start >= 0 else [[], []] for start, end in zip(answers["start"], answers["end"]))
    suggested = [write_answers(context, *span) for context, span in zip(contexts, spans)]
    return Judgement(doubt, suggested, wrong=f1 == 0)
