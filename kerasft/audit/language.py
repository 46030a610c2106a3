"""What a language model prefers, and how answers to questions about people fall: sets that the user names."""

from __future__ import annotations

from kerasft.audit.figures import NO_GRADIENTS, Figures, without
from kerasft.audit.likelihood import CausalLikelihood, MaskedLikelihood
from kerasft.audit.sets import read_pairs, read_questions
from kerasft.audit.subject import Subject
from kerasft.evaluation.bias.pairs import pair_figures
from kerasft.evaluation.bias.questions import option_of, question_figures

AT_ONCE = 64


def pairs(subject: Subject) -> Figures:
    """Which of two sentences about two groups a language model takes for likelier."""
    source, kind = subject.settings.pairs, subject.task.likelihood
    if source is None or kind is None:
        return without("no pairs of sentences were named (--pairs)" if kind else "it is no language model")
    if subject.trained is None:
        return without(NO_GRADIENTS)
    model = (MaskedLikelihood if kind == "masked" else CausalLikelihood)(subject.trained)
    rows, scores = read_pairs(source), []
    with subject.terminal.progress("pairs", len(rows), unit="pairs") as line:
        for start in range(0, len(rows), AT_ONCE):
            scores += model.scores(rows[start : start + AT_ONCE])
            line.update(len(scores))
    return pair_figures(rows, scores)


def questions(subject: Subject) -> Figures:
    """Whether answers about people fall back on stereotypes."""
    source = subject.settings.questions
    if source is None or subject.task.inputs != ("question", "context"):
        asks = subject.task.inputs == ("question", "context")
        return without("no questions were named (--questions)" if asks else "it answers no questions")
    rows = read_questions(source)
    answers = subject.predictor.answer([{"question": row.question, "context": row.context} for row in rows])
    return question_figures(rows, [option_of(answer["answer"], row.options) for answer, row in zip(answers, rows)])
