"""Distillation: a model learns what a larger one would say (Hinton et al. 2015, arXiv:1503.02531)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared
from kerasft.errors import UserError
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective

TEACHER = "teacher"
Teacher = Callable[[Prepared], np.ndarray]


class Distillation(Objective):
    """The task's loss, and how far the model is from a teacher's probabilities.

    The loss of an example is (1 - alpha) * task's loss + alpha * T^2 * H(softmax(teacher / T), softmax(model / T)),
    where H is the cross-entropy and T the temperature. T^2 keeps the gradient of the second term as large whatever T
    is. Where tokens have targets, H is the mean over the tokens of a row that have one.

    The teacher's logits are made once, before the first step, and stand beside the targets; so the teacher takes no
    time of a step, and need not be in memory then. A run from Python:

        teacher = lambda train: Evaluator(model, tf.distribute.get_strategy(), 64).logits(train)
        train_run(config, objective=functools.partial(Distillation, teacher=teacher, alpha=0.9, temperature=2.0))

    Args:
        model: the student, features -> logits.
        task: of the run; its logits are scores of classes of which one is true (`Task.one_of_many`).
        teacher: the training split -> (rows, classes) logits, or (tokens, classes) where tokens have targets. The
            classes are those of the student in the same order.
        alpha: share of the teacher, 0 to 1; 0 is the task's loss.
        temperature: above 0; the higher, the more the unlikely classes count.

    Raises:
        UserError: a number is out of its range, or the task's logits are no such scores.
    """

    def __init__(
        self, model: keras.Model, task: Task, *, teacher: Teacher, alpha: float = 0.5, temperature: float = 2.0
    ):
        super().__init__(model, task)
        if not 0 <= alpha <= 1:
            raise UserError(f"distillation: alpha is {alpha}; use 0 to 1")
        if not 0 < temperature < float("inf"):
            raise UserError(f"distillation: temperature is {temperature}; use a number above 0, such as 2")
        if not task.one_of_many:
            raise UserError(
                f"distillation: this {task.config.task.name} has no logits of classes of which one is true; use it "
                "where each text or token has one label, or where texts are written"
            )
        self.teacher, self.alpha, self.temperature = teacher, alpha, temperature

    def beside_targets(self, train: Prepared) -> Mapping[str, np.ndarray]:
        logits, classes = self.teacher(train), self.model.output_shape[-1]
        if logits.ndim != 2 or logits.shape[1] != classes:
            raise UserError(
                f"distillation: the teacher's logits have the shape {logits.shape}, and the model has {classes} "
                "classes; use a teacher with the same ones"
            )
        return {TEACHER: logits}

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        logits = self.logits(inputs)
        # (batch, classes) -> (batch,), or (batch, length, classes) -> (batch, length)
        soft = soft_cross_entropy(self.beside(inputs, TEACHER), logits, self.temperature)
        if soft.shape.rank == 2:
            real = tf.cast(targets >= 0, soft.dtype)
            soft = tf.math.divide_no_nan(tf.reduce_sum(soft * real, 1), tf.reduce_sum(real, 1))  # -> (batch,)
        distilled = tf.reduce_sum(soft * weights)
        return (1 - self.alpha) * self.task.loss_sum(targets, logits, weights) + self.alpha * distilled


def soft_cross_entropy(teacher: tf.Tensor, logits: tf.Tensor, temperature: float) -> tf.Tensor:
    """(..., classes), (..., classes) -> (...) T^2 * H(softmax(teacher / T), softmax(logits / T)), in nats."""
    logits = tf.cast(logits, tf.float32)
    probabilities = tf.nn.softmax(tf.stop_gradient(tf.cast(teacher, tf.float32)) / temperature)
    return temperature**2 * tf.nn.softmax_cross_entropy_with_logits(probabilities, logits / temperature)
