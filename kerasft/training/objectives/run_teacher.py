"""A trained run as a teacher: what it gives for the training rows, computed once before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.objective import DistillationConfig
from kerasft.data.batching.dataset import wants_one_shape
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.evaluation.evaluate import Evaluator
from kerasft.paths import is_address
from kerasft.runs import Run
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import MakeObjective
from kerasft.training.objectives.distillation import Distillation, head_vectors
from kerasft.training.objectives.relations import Teacher as RelationTeacher
from kerasft.training.objectives.server_teacher import Server, ServerTeacher
from kerasft.training.objectives.step_teacher import step_teacher
from kerasft.training.objectives.teachers import teaching_runs

BATCH = 64  # rows a call of the teacher


class EnsembleTeacher:
    """Several runs of the same task, whose probabilities are averaged by their shares, also where an ensemble votes.

    Args:
        teachers: one for each run.
        shares: of the runs.
        task: the student's, whose logits are scores of classes of which one is true.

    Attributes:
        table: the training rows; set before it is called.
        vectors: None: those of several heads are not one's.
    """

    vectors: np.ndarray | None = None

    def __init__(self, teachers: list[RunTeacher], shares: list[float], task: Task):
        self.teachers, self.shares, self.task = teachers, shares, task
        self.table: Table | None = None

    def __call__(self, train: Prepared) -> np.ndarray:
        """See `RunTeacher`; one run is in memory at a time."""
        every = []
        for teacher in self.teachers:
            teacher.table = self.table
            every.append(tf.constant(teacher(train)))
        return self.task.joined_logits(every, self.shares, {}).numpy()


class RunTeacher:
    """A run of the same task. It reads the rows by its own tokenizer, so the student may have another one.

    Args:
        folder: of the run.
        task: the student's, which has learnt its state.
        hidden: whether the vectors that its head reads are wanted, too.
        same_tokens: whether it has to read the tokens that the student does.

    Attributes:
        table: the training rows; set before it is called.
    """

    def __init__(self, folder: Path, task: Task, hidden: bool, same_tokens: bool = False):
        self.folder, self.task, self.hidden, self.same_tokens = folder, task, hidden, same_tokens
        self.table: Table | None = None
        self.vectors: np.ndarray | None = None

    def __call__(self, train: Prepared) -> np.ndarray:
        """(rows, ...) logits, or (tokens, ...) where tokens have targets; `vectors` beside them where wanted.

        Raises:
            UserError: it has other labels, or cuts texts whose tokens have labels into others than the student does.
        """
        assert self.table is not None  # `Objective.read_rows` comes first
        run = Run.open(self.folder)
        labels = [state.get("labels") for state in (run.load_state(), self.task.state)]
        if run.config.task.name != self.task.config.task.name or labels[0] != labels[1]:
            raise UserError(
                f"training.objective.teacher: {self.folder} is of {run.config.task.name} with other labels, or in "
                "another order; name a run of the same task and labels"
            )
        trained = run.load()
        rows = trained.task.prepare(self.table, trained.preprocessor)
        if rows.token_targets and not np.array_equal(rows.offsets, train.offsets):
            raise UserError(
                f"training.objective.teacher: {self.folder} cuts the texts into other tokens than the student, and "
                "each token has a label; use the teacher's own tokenizer and model.max_length"
            )
        if self.same_tokens and not np.array_equal(rows.features["token_ids"], train.features["token_ids"]):
            raise UserError(
                f"training.objective.relations: {self.folder} reads other tokens than the student; use the teacher's "
                "own tokenizer and model.max_length, or set it to 0"
            )
        strategy = tf.distribute.get_strategy()
        if self.hidden:
            vectors = keras.Model(trained.model.inputs, head_vectors(trained.model))
            self.vectors = Evaluator(vectors, strategy, BATCH).logits(rows)
        return Evaluator(trained.model, strategy, BATCH).logits(rows)


def taught(section: DistillationConfig, server: Server | None = None) -> MakeObjective:
    """What makes the objective `distillation`.

    Args:
        section: names the teacher.
        server: that it names; None: it names a run or an ensemble.
    """

    def make(model: keras.Model, task: Task) -> Distillation:
        settings = section.model_dump(include={"alpha", "temperature", "hidden"})
        if server is not None:
            return Distillation(model, task, teacher=ServerTeacher(server, task), **settings)
        if is_address(section.teacher):
            raise UserError(f"training.objective.teacher: {section.teacher} is a server, which is not asked here")
        runs = teaching_runs(Path(section.teacher))
        _check(section, runs, task)
        if task.writes:
            return Distillation(model, task, teacher=step_teacher(runs, model, task), **settings)
        teachers = [RunTeacher(run.folder, task, section.hidden > 0, section.relations > 0) for run, _ in runs]
        teacher = teachers[0] if len(runs) == 1 else EnsembleTeacher(teachers, [share for _, share in runs], task)
        relations = None
        if section.relations:
            relations = RelationTeacher(Run.open(Path(section.teacher)).load().model, section.relations)
        return Distillation(model, task, teacher=teacher, relations=relations, **settings)

    return make


def _check(section: DistillationConfig, runs: Sequence[tuple[Run, float]], task: Task) -> None:
    """Raises UserError for what the config asks of a teacher that can't give it."""
    batching, strategy = task.config.data.batching, tf.distribute.get_strategy()
    packs = batching == "pack" or (batching == "auto" and wants_one_shape(strategy))
    key = "hidden" if section.hidden else "relations" if section.relations else None
    if others := [run for run, _ in runs if run.config.task.name != task.config.task.name]:
        raise UserError(
            f"training.objective.teacher: {others[0].folder} is of {others[0].config.task.name}; name a run of "
            f"{task.config.task.name}"
        )
    if task.writes and key is not None:
        raise UserError(
            f"training.objective.{key}: is for heads that answer a text or its tokens, and {task.config.task.name} "
            "writes; set it to 0"
        )
    if (section.relations or task.writes) and packs:
        what = "relations are those of one text" if section.relations else "this teacher reads one at a time"
        fix = ", or relations to 0" if section.relations else ""
        raise UserError(
            f"training.objective.{'relations' if section.relations else 'teacher'}: tokens of several texts share a "
            f"row with data.batching: pack, and {what}; set data.batching to pad{fix}"
        )
    if len(runs) > 1 and not task.one_of_many:
        raise UserError(
            f"training.objective.teacher: {section.teacher} is an ensemble, which teaches one label of several, "
            f"and this {task.config.task.name} has other answers; name one of its members"
        )
    if len(runs) > 1 and key is not None:
        raise UserError(
            f"training.objective.{key}: {section.teacher} is an ensemble, which has no single one; set it to 0"
        )
