"""A teacher of texts: it runs in each step, for what it says of every token of all rows would not fit in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.prepared.beside import for_model
from kerasft.errors import UserError
from kerasft.runs import Run, Trained
from kerasft.tasks.base import Task
from kerasft.training.objectives.teachers import KEY


class StepTeacher:
    """Runs that write; the probabilities of several are averaged by their shares.

    Args:
        teachers: which read the same tokens.
        shares: of each.
        task: the student's.
    """

    def __init__(self, teachers: Sequence[keras.Model], shares: Sequence[float], task: Task):
        self._teachers, self._shares, self._task = list(teachers), list(shares), task
        for teacher in self._teachers:
            teacher.trainable = False

    def logits(self, inputs: Mapping[str, Any]) -> tf.Tensor:
        """In graph: features of a batch -> (batch, length, vocabulary) float32; nothing learns through them."""
        read = for_model(inputs)
        every = [tf.cast(teacher(read, training=False), tf.float32) for teacher in self._teachers]
        joined = every[0] if len(every) == 1 else self._task.joined_logits(every, self._shares, {})
        return tf.stop_gradient(joined)


def step_teacher(runs: Sequence[tuple[Run, float]], model: keras.Model, task: Task) -> StepTeacher:
    """The teacher that some runs are.

    Args:
        runs: of the student's task, each with its share.
        model: the student.
        task: the student's; its preprocessor is built.

    Raises:
        UserError: a run has other tokens, or reads less than the student does.
    """
    every = []
    for run, _ in runs:
        trained = run.load()
        _check_same_tokens(run, trained, model, task)
        every.append(trained.model)
    return StepTeacher(every, [share for _, share in runs], task)


def _check_same_tokens(run: Run, trained: Trained, model: keras.Model, task: Task) -> None:
    theirs, own = trained.task.generator.detokenizer, task.generator.detokenizer
    if len(theirs.token_bytes) != len(own.token_bytes):
        raise UserError(
            f"{KEY}: {run.folder} has a table of {len(theirs.token_bytes):,} tokens, and the student one of "
            f"{len(own.token_bytes):,}; use a student with the teacher's tokenizer and as many rows"
        )
    if theirs.token_bytes != own.token_bytes or not np.array_equal(theirs.special, own.special):
        raise UserError(
            f"{KEY}: {run.folder} has other tokens than the student, and it teaches the next one; use a student with "
            "the teacher's tokenizer"
        )
    if missing := sorted({each.name for each in trained.model.inputs} - {each.name for each in model.inputs}):
        raise UserError(
            f"{KEY}: {run.folder} reads {missing[0]}, which the student has not; use a student of the teacher's family"
        )
    for (key, longest), (_, read) in zip(task.limits.values(), trained.task.limits.values(), strict=True):
        if longest > read:
            raise UserError(f"{KEY}: {run.folder} reads {read} tokens, and {key} is {longest}; set it to {read}")
