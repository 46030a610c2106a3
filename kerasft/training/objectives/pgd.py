"""PGD: as FGM, with several smaller steps to the perturbation (Madry et al. 2017, arXiv:1706.06083)."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from kerasft.tasks.base import Task
from kerasft.training.objectives.adversarial import Adversarial
from kerasft.training.objectives.base import Differentiate
from kerasft.training.objectives.perturbations import at_tokens, units, within


class Pgd(Adversarial):
    """loss(x) + alpha * loss(x + r), where r is found by steps along the gradient, kept in the ball of epsilon.

    The weights learn from the first pass, which is of the texts as they are, and from the last. With `steps` K there
    are K + 1 passes. One step of the size epsilon is FGM's.

    Args:
        model, task: see `Adversarial`.
        epsilon: the largest L2 norm of r, over a text.
        alpha: of the last pass. 0 of either is the task's loss.
        steps: to r, 1 or more.
        step_size: L2 norm of each.
    """

    def __init__(self, model: keras.Model, task: Task, *, epsilon: float, alpha: float, steps: int, step_size: float):
        super().__init__(model, task)
        self.epsilon, self.alpha, self.steps, self.step_size = epsilon, alpha, steps, step_size

    def descend(
        self, differentiate: Differentiate, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        if not (self.epsilon and self.alpha):
            return super().descend(differentiate, inputs, targets, weights)
        moved, clean = self.nothing(inputs), tf.zeros([])
        for step in range(self.steps):
            here = moved
            loss, (upward,) = differentiate(
                lambda here=here: self.loss_at(inputs, targets, weights, here), [here], learn=step == 0
            )
            clean = loss if step == 0 else clean
            moved = within(here + self.step_size * units(at_tokens(inputs, upward)), self.epsilon)
        more, _ = differentiate(lambda: self.alpha * self.loss_at(inputs, targets, weights, moved))
        return clean + more
