"""What a training step minimises: the contract of an objective."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.prepared.beside import PREFIX, for_model
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.tables.table import Table
from kerasft.tasks.base import Task
from kerasft.training.layers.packed_layers import another_pass


class Differentiate(Protocol):
    """What a step gives an objective: it computes a loss, and differentiates it at once.

    Attributes:
        now: how many steps there were before, a scalar integer of the graph.
    """

    now: tf.Tensor

    def __call__(
        self, loss: Callable[[], tf.Tensor], by: Sequence[tf.Tensor] = (), learn: bool = True
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """A loss, divided by the sum of the weights of the whole batch, and its gradients.

        Args:
            loss: computes the weighted sum, by any number of calls of `Objective.logits`.
            by: tensors that it is differentiated by, beside the weights.
            learn: add the gradient of the weights to that of the step; False: it is not wanted, and not computed.

        Returns:
            The loss, and its gradient by each of `by`.
        """
        ...


class Objective(abc.ABC):
    """A loss of a batch, as a function of a model. The step alone differentiates it and updates the weights.

    An objective is made in the strategy's scope, once the model is whole: what it makes there is its own state.

    Args:
        model: features -> logits.
        task: gives the plain loss, `loss_sum`.
    """

    reads_weights = False  # whether the loss reads every row of a table of embeddings, as a penalty on weights does

    def __init__(self, model: keras.Model, task: Task):
        self.model, self.task = model, task

    @abc.abstractmethod
    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """In graph, inside a gradient tape: the weighted sum of the losses of a part of a batch.

        The step divides it by the sum of the weights of the whole batch. It may be called several times a step, for
        replicas and parts of a batch, in any order.

        Args:
            inputs: features of the batch for `logits`, and what stands beside its targets for `beside`.
            targets: (batch, ...) as the task has them.
            weights: (batch,) float32; 0: a row that only fills the batch up.

        Returns:
            A scalar, float32.
        """

    def descend(
        self,
        differentiate: Differentiate,
        inputs: Mapping[str, tf.Tensor],
        targets: tf.Tensor,
        weights: tf.Tensor,
    ) -> tf.Tensor:
        """In graph: what a step does with a part of a batch; by default it differentiates `loss`, once.

        For objectives whose weights learn from several passes, or that look for something by a gradient first. A pass
        that is differentiated needs no memory any more; so several of them need no more than one.

        Args:
            differentiate: the step's.
            inputs, targets, weights: as in `loss`.

        Returns:
            The loss that is shown, as `differentiate` gives it.
        """
        return differentiate(lambda: self.loss(inputs, targets, weights))[0]

    def installed(self) -> contextlib.AbstractContextManager[None]:
        """Around a step that is traced, of all replicas: forms of layers that this objective needs."""
        return contextlib.nullcontext()

    def read_rows(self, table: Table) -> None:
        """The rows of the training split as they are before the model reads them; called before `beside_targets`."""

    def beside_targets(self, train: Prepared) -> Mapping[str, np.ndarray]:
        """What the loss reads of each example beside its target, such as a teacher's logits.

        Called once, before the first step, and again where a run goes on.

        Args:
            train: the training split, tokenized.

        Returns:
            name -> (rows, ...), or (tokens, ...) where each token has a target.
        """
        return {}

    def keep(self, folder: Path) -> None:
        """Writes to the run's folder what it could not make again alike, such as the answers of a server.

        Called once the run has its folder, by the process that writes; by default nothing is written.
        """

    def solve(self, train: Prepared, validation: Prepared, strategy: tf.distribute.Strategy) -> bool:
        """Gives the model the weights that minimise the objective, where they can be computed without steps.

        Called once, before the first step, and again where a run goes on.

        Args:
            train, validation: tokenized.
            strategy: the model was created under.

        Returns:
            Whether it did: then the training has no steps.
        """
        return False

    def logits(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """(batch, ...) of the model as it trains; it is called with its own features alone.

        Each call draws dropout anew.
        """
        return self.outputs(self.model, inputs)

    @staticmethod
    def outputs(model: keras.Model, inputs: Mapping[str, tf.Tensor]) -> Any:
        """`logits` of another model of the same layers, which may have more outputs."""
        with another_pass():
            return model(for_model(inputs), training=True)

    @staticmethod
    def beside(inputs: Mapping[str, tf.Tensor], name: str) -> tf.Tensor:
        """(batch, ...) float32 that `beside_targets` gave by that name; (batch, length, ...) of tokens' targets."""
        return inputs[PREFIX + name]

    @property
    def variables(self) -> Sequence[keras.Variable]:
        """Its own state, in an order that is always the same: a part of the run's checkpoints and of its SHA-256."""
        return ()


MakeObjective = Callable[[keras.Model, Task], Objective]  # a class of objectives is one
