"""What objectives share that change the token embeddings of a batch."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import keras
import tensorflow as tf

from kerasft.tasks.base import Task
from kerasft.training.layers.perturbed_embeddings import TokenEmbeddings, added
from kerasft.training.objectives.base import Objective


class Adversarial(Objective):
    """The task's loss, also of texts whose token embeddings are perturbed.

    A perturbation is (batch, length, width) float32. It is added to what the embedding layer gives, before positions
    and normalisation; the table is never touched.

    Raises:
        UserError: the model has no one layer of token embeddings.
    """

    def __init__(self, model: keras.Model, task: Task):
        super().__init__(model, task)
        self.embeddings = TokenEmbeddings(model)

    def installed(self) -> contextlib.AbstractContextManager[None]:
        return self.embeddings.installed()

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return self.task.loss_sum(targets, self.logits(inputs), weights)

    def logits_at(self, inputs: Mapping[str, tf.Tensor], perturbation: tf.Tensor) -> tf.Tensor:
        """(batch, ...) of the model where this is added to the vectors of tokens."""
        with added(perturbation):
            return self.logits(inputs)

    def loss_at(
        self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor, perturbation: tf.Tensor
    ) -> tf.Tensor:
        """The weighted sum of the task's losses there."""
        return self.task.loss_sum(targets, self.logits_at(inputs, perturbation), weights)

    def nothing(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The perturbation that is none."""
        return tf.zeros(self.embeddings.shape(inputs))
