"""FGM: the loss also where the embeddings are moved along their gradient (Miyato et al. 2016, arXiv:1605.07725)."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from kerasft.tasks.base import Task
from kerasft.training.objectives.adversarial import Adversarial
from kerasft.training.objectives.base import Differentiate
from kerasft.training.objectives.perturbations import at_tokens, units


class Fgm(Adversarial):
    """loss(x) + alpha * loss(x + r), where r is epsilon g / ||g|| and g the gradient of loss(x) by the embeddings x.

    The norm is that of a whole text. r counts as a constant. The first pass gives both g and the weights' gradient, so
    that a step is two passes.

    Args:
        model, task: see `Adversarial`.
        epsilon: the L2 norm of r.
        alpha: of the second pass. 0 of either is the task's loss.
    """

    def __init__(self, model: keras.Model, task: Task, *, epsilon: float, alpha: float):
        super().__init__(model, task)
        self.epsilon, self.alpha = epsilon, alpha

    def descend(
        self, differentiate: Differentiate, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        if not (self.epsilon and self.alpha):
            return super().descend(differentiate, inputs, targets, weights)
        nothing = self.nothing(inputs)
        clean, (upward,) = differentiate(lambda: self.loss_at(inputs, targets, weights, nothing), [nothing])
        moved = self.epsilon * units(at_tokens(inputs, upward))
        more, _ = differentiate(lambda: self.alpha * self.loss_at(inputs, targets, weights, moved))
        return clean + more
