"""Distillation: a model learns what a larger one would say (Hinton et al. 2015, arXiv:1503.02531)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.prepared.beside import PREFIX
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective
from kerasft.training.objectives.relations import Relations
from kerasft.training.objectives.relations import Teacher as RelationTeacher
from kerasft.training.objectives.server_teacher import ServerTeacher
from kerasft.training.objectives.step_teacher import StepTeacher

TEACHER, VECTORS = "teacher", "teacher_vectors"
LABELLED = "labelled"  # 1 for a row with a label, 0 for one that the teacher alone answers
Teacher = Callable[[Prepared], np.ndarray]


@runtime_checkable
class ReadsRows(Protocol):
    """A teacher that reads the training rows itself, and may give the vectors that its head reads."""

    table: Table | None
    vectors: np.ndarray | None


class Distillation(Objective):
    """The task's loss, and how far the model is from a teacher.

    The loss of an example is (1 - alpha) * task's loss + alpha * T^2 * H(softmax(teacher / T), softmax(model / T)),
    where H is the cross-entropy and T the temperature. T^2 keeps the gradient of the second term as large whatever T
    is. Where tokens have targets, H is the mean over the tokens of a row that have one. Where logits are no scores of
    classes of which one is true, H is how far two outputs of the task differ (`Task.divergence`): several labels,
    numbers, spans, vectors.

    With `hidden`, the mean squared distance of the vectors that both heads read is added (FitNets, Romero et al. 2014,
    arXiv:1412.6550, at the last layer). With `relations`, the distance of the attention relations of both models'
    highest layers is added, see `relations.py`; for that the teacher runs in each step.

    A text without a label (`training.objective.unlabelled`) has the teacher's term alone, with a share of 1.

    The teacher's logits are made once, before the first step, and stand beside the targets; so the teacher takes no
    time of a step, and need not be in memory then. Those of tasks that write are as wide as a vocabulary for each
    token, so there it runs in each step (`StepTeacher`). A run from Python:

        teacher = lambda train: Evaluator(model, tf.distribute.get_strategy(), 64).logits(train)
        train_run(config, objective=functools.partial(Distillation, teacher=teacher, alpha=0.9, temperature=2.0))

    Args:
        model: the student, features -> logits.
        task: of the run; its outputs can be compared.
        teacher: the training split -> (rows, ...) logits, or (tokens, ...) where tokens have targets. They mean what
            those of the student mean, in the same order. A `StepTeacher`, for tasks that write.
        alpha: share of the teacher, 0 to 1; 0 is the task's loss.
        temperature: above 0; the higher, the more the unlikely classes count.
        hidden: weight of the vectors' distance; 0: they are not compared.
        relations: the teacher's attention relations with their weight; None: they are not compared.

    Raises:
        UserError: a number is out of its range, or the task's outputs can't be compared.
    """

    def __init__(
        self,
        model: keras.Model,
        task: Task,
        *,
        teacher: Teacher | StepTeacher,
        alpha: float = 0.5,
        temperature: float = 2.0,
        hidden: float = 0.0,
        relations: RelationTeacher | None = None,
    ):
        super().__init__(model, task)
        if not 0 <= alpha <= 1:
            raise UserError(f"distillation: alpha is {alpha}; use 0 to 1")
        if not 0 < temperature < float("inf"):
            raise UserError(f"distillation: temperature is {temperature}; use a number above 0, such as 2")
        if not (task.one_of_many or task.compares):
            raise UserError(
                f"distillation: the outputs of this {task.config.task.name} can't be compared with a teacher's; use it "
                "for texts or tokens with labels, for numbers, spans, embeddings and texts that are written"
            )
        if task.writes and not isinstance(teacher, StepTeacher):
            raise UserError(
                f"distillation: {task.config.task.name} has logits as wide as a vocabulary for each token; give a "
                "StepTeacher, which makes them in each step"
            )
        self.teacher, self.alpha, self.temperature, self.hidden = teacher, alpha, temperature, hidden
        self._relation_teacher, self._relations = relations, None if relations is None else Relations(model)
        more = [head_vectors(model)] if hidden else []
        if relations is not None and self._relations is not None:
            relations.shared_heads(self._relations)
            more.append(self._relations.vectors)
        self._with_more = keras.Model(model.inputs, [model.output, *more]) if more else None

    def read_rows(self, table: Table) -> None:
        if isinstance(self.teacher, ReadsRows):
            self.teacher.table = table

    def beside_targets(self, train: Prepared) -> Mapping[str, np.ndarray]:
        if isinstance(self.teacher, StepTeacher):
            return {}
        logits, own = self.teacher(train), self.model.output_shape
        if logits.shape[-1] != own[-1] or logits.ndim != len(own) - train.token_targets:
            raise UserError(
                f"distillation: the teacher's logits have the shape {logits.shape}, and the model has {own[-1]} "
                "classes; use a teacher with the same ones"
            )
        if not self.hidden:
            return {TEACHER: logits}
        vectors = self.teacher.vectors if isinstance(self.teacher, ReadsRows) else None
        width = head_vectors(self.model).shape[-1]
        if vectors is None or vectors.shape[-1] != width:
            what = "none" if vectors is None else str(vectors.shape[-1])
            raise UserError(
                f"training.objective.hidden: the student's head reads vectors of {width} numbers, and the teacher has "
                f"{what}; set it to 0, or use a student as wide as its teacher"
            )
        return {TEACHER: logits, VECTORS: vectors}

    def keep(self, folder: Path) -> None:
        if isinstance(self.teacher, ServerTeacher):
            self.teacher.keep(folder)

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        logits, *more = [self.logits(inputs)] if self._with_more is None else self.outputs(self._with_more, inputs)
        # (batch,) the share of the teacher: all of it where a text has no label.
        share, truth = self.alpha, weights
        if PREFIX + LABELLED in inputs:
            labelled = self.beside(inputs, LABELLED)  # (batch,), or (batch, length) where tokens have targets
            labelled = labelled if labelled.shape.rank == 1 else tf.reduce_max(labelled, 1)
            share, truth = 1 - (1 - self.alpha) * labelled, weights * labelled
        taught = self.teacher.logits(inputs) if isinstance(self.teacher, StepTeacher) else self.beside(inputs, TEACHER)
        distilled = tf.reduce_sum(share * self._soft(taught, logits, targets) * weights)
        loss = (1 - self.alpha) * self.task.loss_sum(targets, logits, truth) + distilled
        if self.hidden:
            apart = self._distance(self.beside(inputs, VECTORS), more[0], targets)
            loss += self.hidden * tf.reduce_sum(apart * weights)
        if self._relations is not None and self._relation_teacher is not None:
            apart = self._relation_teacher.distance(self._relations, more[-1], inputs)
            loss += self._relation_teacher.weight * tf.reduce_sum(apart * weights)
        return loss

    def _soft(self, teacher: tf.Tensor, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """(batch,) how far the outputs are from the teacher's."""
        if not self.task.one_of_many:
            teacher = tf.stop_gradient(teacher)
            return self.task.divergence(targets, teacher, tf.cast(logits, tf.float32))
        # (batch, classes) -> (batch,), or (batch, length, classes) -> (batch, length)
        soft = soft_cross_entropy(teacher, logits, self.temperature)
        return _mean_over_tokens(soft, targets) if soft.shape.rank == 2 else soft

    @staticmethod
    def _distance(teacher: tf.Tensor, vectors: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """(batch, [length,] hidden) twice -> (batch,) mean squared differences."""
        each = tf.reduce_mean(tf.square(tf.cast(vectors, tf.float32) - tf.stop_gradient(teacher)), -1)
        return _mean_over_tokens(each, targets) if each.shape.rank == 2 else each


def head_vectors(model: keras.Model) -> keras.KerasTensor:
    """What the last dense layer of a model reads, in its graph: the vector of a text, or of each token.

    Raises:
        UserError: the model ends in no such layer.
    """
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    if not dense:
        raise UserError("training.objective.hidden: this model has no head that reads vectors; set it to 0")
    return dense[-1].input


def soft_cross_entropy(teacher: tf.Tensor, logits: tf.Tensor, temperature: float) -> tf.Tensor:
    """(..., classes), (..., classes) -> (...) T^2 * H(softmax(teacher / T), softmax(logits / T)), in nats."""
    logits = tf.cast(logits, tf.float32)
    probabilities = tf.nn.softmax(tf.stop_gradient(tf.cast(teacher, tf.float32)) / temperature)
    return temperature**2 * tf.nn.softmax_cross_entropy_with_logits(probabilities, logits / temperature)


def _mean_over_tokens(each: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """(batch, length) -> (batch,) mean over the tokens that have a target."""
    real = tf.cast(targets >= 0, each.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(each * real, 1), tf.reduce_sum(real, 1))
