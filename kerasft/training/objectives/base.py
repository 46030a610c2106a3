"""What a training step minimises: the contract of an objective."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from kerasft.tasks.base import Task


class Objective(abc.ABC):
    """A loss of a batch, as a function of a model. The step alone differentiates it and updates the weights.

    An objective is made in the strategy's scope, once the model is whole: what it makes there is its own state.

    Args:
        model: features -> logits.
        task: of the run.
    """

    def __init__(self, model: keras.Model, task: Task):
        self.model, self.task = model, task

    @abc.abstractmethod
    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """In graph, inside a gradient tape: the weighted sum of the losses of a part of a batch.

        The step divides it by the sum of the weights of the whole batch. It may be called several times a step, for
        replicas and parts of a batch, in any order. Where texts share rows (`data.batching: pack`) it calls the model
        once.

        Args:
            inputs: what the model is called with.
            targets: (batch, ...) as the task has them.
            weights: (batch,) float32; 0: a row that only fills the batch up.

        Returns:
            A scalar, float32.
        """

    @property
    def variables(self) -> Sequence[keras.Variable]:
        """Its own state, in an order that is always the same: a part of the run's checkpoints and of its SHA-256."""
        return ()


MakeObjective = Callable[[keras.Model, Task], Objective]  # a class of objectives is one
