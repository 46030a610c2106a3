"""The loss of O-LoRA (Wang et al. 2023, arXiv:2310.14152)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.peft.lora import A
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective


class Orthogonal(Objective):
    """The task's loss + strength * sum over layers of the absolute values of A' A_s, of each earlier stage s.

    A is (inner, rank): the columns are the directions that a pair reads. A new A is drawn anew, with other numbers than
    the stages before had.

    Args:
        model: with LoRA's pairs, before the first step and before a checkpoint is restored.
        task: of the run.
        strength: of the penalty.
        earlier: name of each A -> (inner, ranks) the columns of all earlier stages.
        seed: of the numbers that A begins with.

    Raises:
        UserError: the earlier stages had pairs in other layers.
    """

    def __init__(
        self, model: keras.Model, task: Task, *, strength: float, earlier: Mapping[str, np.ndarray], seed: Sequence[int]
    ):
        super().__init__(model, task)
        self.strength, self.earlier = strength, earlier
        self.pairs = {v.name: v for v in model.trainable_variables if v.name.endswith(f".{A}")}  # names of `Bank`
        if not self.pairs:
            raise ValueError("the model has no pairs of LoRA that train")
        if earlier and (others := sorted(self.pairs.keys() ^ earlier.keys())):
            raise UserError(f"model.peft: {others[0]} has no pair in one of the stages; keep its targets as before")
        random = np.random.default_rng(list(seed))
        for name in sorted(self.pairs) if earlier else ():
            variable = self.pairs[name]
            bound = 1.0 / np.sqrt(variable.shape[0])  # as a first A is drawn
            variable.assign(random.uniform(-bound, bound, variable.shape).astype(np.float32))
        self.fixed = {name: tf.Variable(tf.constant(a, tf.float32), trainable=False) for name, a in earlier.items()}

    def penalty(self) -> tf.Tensor:
        """A scalar; 0 where all columns are orthogonal to the earlier ones."""
        if not self.fixed:
            return tf.zeros([])
        products = [
            tf.matmul(tf.convert_to_tensor(self.pairs[name]), earlier, transpose_a=True)  # (rank, ranks)
            for name, earlier in self.fixed.items()
        ]
        return self.strength * tf.add_n([tf.reduce_sum(tf.abs(product)) for product in products])

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        plain = self.task.loss_sum(targets, self.logits(inputs), weights)
        return plain + tf.reduce_sum(weights) * self.penalty()  # the step divides by the weights of all parts

    def directions(self) -> dict[str, np.ndarray]:
        """(inner, ranks) of each layer: the columns of all stages, this one's last."""
        now = {name: keras.ops.convert_to_numpy(variable) for name, variable in self.pairs.items()}
        return {name: np.concatenate([self.earlier[name], a], 1) if self.earlier else a for name, a in now.items()}
