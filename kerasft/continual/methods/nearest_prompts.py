"""The loss of a pool of prompts (L2P, Wang et al. 2022, arXiv:2112.08654)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasft.peft.prompt_pool import pool_of
from kerasft.tasks.base import Task
from kerasft.tasks.problems.names import identity
from kerasft.training.objectives.base import Objective

_ABSENT = -1e9  # added to the logit of a class that the stage does not have


class NearestPrompts(Objective):
    """The task's loss over the classes of the stage, and strength * the distance of a text from the keys it chose.

    Args:
        model: with a pool of prompts.
        task: of the run; its labels are those of the model.
        present: labels of the stage's rows.
        strength: of the second term.
    """

    def __init__(self, model: keras.Model, task: Task, *, present: Collection[str], strength: float):
        super().__init__(model, task)
        own = {identity(label) for label in present}
        absent = np.array([identity(label) not in own for label in task.state["labels"]])
        self.mask = tf.constant(np.where(absent, _ABSENT, 0.0), tf.float32)
        self.strength, self.pool = strength, pool_of(model)

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        logits = self.logits(inputs)
        distance = tf.reduce_sum(self.pool.distance * weights)  # of the pass that was just made
        return self.task.loss_sum(targets, tf.cast(logits, tf.float32) + self.mask, weights) + self.strength * distance
