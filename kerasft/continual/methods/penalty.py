"""A penalty on weights that leave their values at a stage's start."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.growing_heads import LOGIT_AXES
from kerasft.models.named_weights import by_path
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective


class Anchored(Objective):
    """The task's loss + strength / 2 * sum over weights of F * (w - w*)^2, where w* is w at the stage's start.

    The penalty counts once a step, whatever the number of parts of a batch. `clip_norm` is that of the whole gradient.

    Args:
        model: as the stage starts: an objective is made before the first step, and before a checkpoint is restored.
        task: of the run.
        strength: lambda.
        weights: path of a variable -> F, in the variable's shape.

    Raises:
        UserError: a variable that trains has no F.
    """

    reads_weights = True

    def __init__(self, model: keras.Model, task: Task, *, strength: float, weights: Mapping[str, np.ndarray]):
        super().__init__(model, task)
        self.strength = strength
        self.terms = []
        for path, variable in by_path(model.trainable_variables).items():
            if path not in weights:
                raise UserError(f"continual: {path} has no Fisher information; keep model.trainable as it was")
            start = tf.Variable(tf.identity(variable.value), trainable=False)
            self.terms.append((variable, start, tf.Variable(tf.constant(weights[path], tf.float32), trainable=False)))

    def penalty(self) -> tf.Tensor:
        """A scalar: lambda / 2 * sum F (w - w*)^2."""
        squares = [
            tf.reduce_sum(weight * tf.square(tf.convert_to_tensor(variable) - start))
            for variable, start, weight in self.terms
        ]
        return self.strength / 2 * tf.add_n(squares)

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        plain = self.task.loss_sum(targets, self.logits(inputs), weights)
        if not self.strength:
            return plain
        return plain + tf.reduce_sum(weights) * self.penalty()  # the step divides by the weights of all parts


def uniform(model: keras.Model, old: int) -> dict[str, np.ndarray]:
    """F = 1 of every weight but those of new classes, whose logits come after the `old` ones."""
    values = {}
    for path, variable in by_path(model.weights).items():
        values[path] = np.ones(variable.shape, np.float32)
        for axis in LOGIT_AXES.get(path, ()):
            np.moveaxis(values[path], axis, 0)[old:] = 0.0
    return values


def grown(source: str, fisher: Mapping[str, np.ndarray], model: keras.Model) -> dict[str, np.ndarray]:
    """The Fisher information of a model's weights, 0 of the columns of classes that it did not know.

    Args:
        source: where it is from, for the message.
        fisher: path of a weight -> F of a model with fewer classes or as many.
        model: that it is for.

    Raises:
        UserError: it is of another model.
    """
    variables, values = by_path(model.weights), {}
    for path, value in fisher.items():
        shape = tuple(variables[path].shape) if path in variables else None
        axes = LOGIT_AXES.get(path, ())
        fits = shape is not None and value.ndim == len(shape)
        if not fits or any(old > new or (old < new and axis not in axes) for axis, (old, new) in enumerate(
            zip(value.shape, shape or ())
        )):  # fmt: skip
            raise UserError(f"{source}: {path} is of another model; keep model.preset and task as they were")
        assert shape is not None
        values[path] = np.pad(value, [(0, new - old) for old, new in zip(value.shape, shape)])
    return values
