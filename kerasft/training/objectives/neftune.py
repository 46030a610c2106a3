"""NEFTune: noise on the embeddings of what a decoder learns from (Jain et al. 2023, arXiv:2310.05914)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from kerasft.tasks.base import Task
from kerasft.training.objectives.adversarial import Adversarial
from kerasft.training.objectives.drawing import Draws
from kerasft.training.objectives.perturbations import scattered


class Neftune(Adversarial):
    """The task's loss where numbers between -1 and 1, times alpha / sqrt(length * width), are added to the vectors.

    The length is the number of tokens of a row, without padding.

    Args:
        model, task: see `Adversarial`.
        alpha: 0 is the task's loss.
    """

    def __init__(self, model: keras.Model, task: Task, *, alpha: float):
        super().__init__(model, task)
        self.alpha, self.draws = alpha, Draws(task.config.seed)

    @property
    def variables(self) -> Sequence[keras.Variable]:
        return self.draws.variables

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        if not self.alpha:
            return super().loss(inputs, targets, weights)
        noise = scattered(inputs, self.draws.evenly(self.embeddings.shape(inputs)), self.alpha)
        return self.loss_at(inputs, targets, weights, noise)
