"""FreeLB: weights learn at each step to the perturbation (Zhu et al. 2019, arXiv:1909.11764)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from kerasft.tasks.base import Task
from kerasft.training.objectives.adversarial import Adversarial
from kerasft.training.objectives.base import Differentiate
from kerasft.training.objectives.drawing import Draws
from kerasft.training.objectives.perturbations import at_tokens, scattered, units, within


class FreeLB(Adversarial):
    """The mean of loss(x + r_k) over K passes; r_k+1 is a step along the gradient from r_k, kept in a ball.

    Each pass gives the gradient of the weights and of the perturbation, so that a step is K passes. r_1 is drawn
    evenly between -start and start, divided by the root of how many numbers the vectors of the text's tokens have, so
    that its norm is at most `start`. One pass without a start is the task's loss.

    Args:
        model, task: see `Adversarial`.
        epsilon: the largest L2 norm of a perturbation, over a text; 0 is the task's loss, of one pass.
        steps: K, 1 or more.
        step_size: L2 norm of each.
        start: of r_1.
    """

    def __init__(self, model: keras.Model, task: Task, *, epsilon: float, steps: int, step_size: float, start: float):
        super().__init__(model, task)
        self.epsilon, self.steps, self.step_size, self.start = epsilon, steps, step_size, start
        self.draws = Draws(task.config.seed)

    @property
    def variables(self) -> Sequence[keras.Variable]:
        return self.draws.variables

    def descend(
        self, differentiate: Differentiate, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        if not self.epsilon:
            return super().descend(differentiate, inputs, targets, weights)
        moved, losses = within(self._first(inputs), self.epsilon), []
        for _ in range(self.steps):
            here = moved
            loss, (upward,) = differentiate(
                lambda here=here: self.loss_at(inputs, targets, weights, here) / self.steps, [here]
            )
            moved = within(here + self.step_size * units(at_tokens(inputs, upward)), self.epsilon)
            losses.append(loss)
        return tf.add_n(losses)

    def _first(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        if not self.start:
            return self.nothing(inputs)
        return scattered(inputs, self.draws.evenly(self.embeddings.shape(inputs)), self.start)
