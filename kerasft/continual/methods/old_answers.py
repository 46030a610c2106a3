"""The loss of learning without forgetting (Li and Hoiem 2016, arXiv:1606.09282)."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared
from kerasft.evaluation.evaluate import Evaluator
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective
from kerasft.training.objectives.distillation import soft_cross_entropy


class OldAnswers(Objective):
    """The task's loss over all classes, and the distance of the old classes' logits from those at the stage's start.

    The loss of an example is task's loss + strength * T^2 * H(softmax(old / T), softmax(logits of old classes / T)),
    where `old` are the model's logits before the first step, when those of the old classes are the parent's.

    Args:
        model: features -> (batch, classes), as the stage starts.
        task: of the run.
        old: how many of the classes, which come first, are the parent's.
        strength: weight of the second term.
        temperature: T, above 0.
    """

    def __init__(self, model: keras.Model, task: Task, *, old: int, strength: float, temperature: float):
        super().__init__(model, task)
        self.old, self.strength, self.temperature = old, strength, temperature

    def beside_targets(self, train: Prepared) -> Mapping[str, np.ndarray]:
        size = self.task.config.training.evaluation_batch_size
        logits = Evaluator(self.model, tf.distribute.get_strategy(), size).logits(train)
        return {"old": logits[:, : self.old]}

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        logits = self.logits(inputs)
        # (batch, classes) -> (batch,)
        distilled = soft_cross_entropy(self.beside(inputs, "old"), logits[:, : self.old], self.temperature)
        return self.task.loss_sum(targets, logits, weights) + self.strength * tf.reduce_sum(distilled * weights)
