"""Sets of sentences and questions about people, read from files that the user names."""

from __future__ import annotations

from kerasft.data.sources.sources import read_records
from kerasft.errors import UserError
from kerasft.evaluation.bias.pairs import Pair, read_pair
from kerasft.evaluation.bias.questions import Question, read_question
from kerasft.tasks.base import Task


def read_pairs(source: str) -> list[Pair]:
    """Of CrowS-Pairs' or StereoSet's form. Raises UserError for a row of another."""
    return [read_pair(record.values, record.where) for record in read_records(source)]


def read_questions(source: str) -> list[Question]:
    """Of BBQ's form. Raises UserError for a row of another."""
    return [read_question(record.values, record.where) for record in read_records(source)]


def check_sets(task: Task, pairs: str | None, questions: str | None) -> list[Pair | Question]:
    """What stands in the sets. Raises UserError where one is not for the task, or can't be read."""
    name = task.config.task.name
    found: list[Pair | Question] = []
    if pairs is not None:
        if task.likelihood is None:
            raise UserError(f"--pairs: for runs of masked_lm and text_generation, not of {name}; leave it out")
        found += read_pairs(pairs)
        if not found:
            raise UserError(f"--pairs: {pairs} has no rows")
    if questions is not None:
        if task.inputs != ("question", "context"):
            raise UserError(f"--questions: for runs of question_answering, not of {name}; leave it out")
        found += read_questions(questions)
        if not found:
            raise UserError(f"--questions: {questions} has no rows")
    return found
