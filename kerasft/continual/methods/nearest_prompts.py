"""The loss of a pool of prompts (L2P, Wang et al. 2022, arXiv:2112.08654)."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared
from kerasft.peft.prompt_pool import pool_of
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective

_ABSENT = -1e9  # added to the logit of a class that the stage does not have


class NearestPrompts(Objective):
    """The task's loss over the classes of the stage, and strength * the distance of a text from the keys it chose.

    Args:
        model: with a pool of prompts.
        task: of the run.
        strength: of the second term.
    """

    def __init__(self, model: keras.Model, task: Task, *, strength: float):
        super().__init__(model, task)
        self.strength, self.pool = strength, pool_of(model)
        self.mask = tf.zeros([])

    def beside_targets(self, train: Prepared) -> Mapping[str, np.ndarray]:
        mask = np.full(len(self.task.state["labels"]), _ABSENT, np.float32)
        mask[np.unique(train.targets)] = 0.0
        self.mask = tf.constant(mask)
        return {}

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        logits = self.logits(inputs)
        distance = tf.reduce_sum(self.pool.distance * weights)  # of the pass that was just made
        return self.task.loss_sum(targets, tf.cast(logits, tf.float32) + self.mask, weights) + self.strength * distance
