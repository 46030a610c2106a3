"""SMART: the output shall not change where the embeddings do (Jiang et al. 2019, arXiv:1911.03437).

This is the paper's regularisation by smoothness. Its Bregman steps, which keep weights near those of the last steps,
are not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from kerasft.tasks.base import Task
from kerasft.training.objectives.adversarial import Adversarial
from kerasft.training.objectives.base import Differentiate
from kerasft.training.objectives.drawing import Draws
from kerasft.training.objectives.perturbations import at_tokens, peaks


class Smart(Adversarial):
    """loss(x) + weight * how far f(x) and f(x + r) differ, where r makes that difference large.

    r begins with numbers that are drawn, and goes along its gradient. Here the size of r is its largest number in a
    text, and the gradient is divided by its own. The difference is the sum of both Kullback-Leibler divergences, twice
    `Task.divergence`, as in the paper.

    Args:
        model, task: see `Adversarial`; the task can compare two outputs.
        weight: 0 is the task's loss.
        steps: to r, 1 or more.
        step_size: the largest number of each.
        epsilon: the largest number of r.
        start: standard deviation of the first r.
    """

    def __init__(
        self, model: keras.Model, task: Task, *, weight: float, steps: int, step_size: float, epsilon: float,
        start: float,
    ):  # fmt: skip
        super().__init__(model, task)
        self.weight, self.steps, self.step_size = weight, steps, step_size
        self.epsilon, self.start = epsilon, start
        self.draws = Draws(task.config.seed)

    @property
    def variables(self) -> Sequence[keras.Variable]:
        return self.draws.variables

    def descend(
        self, differentiate: Differentiate, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        if not self.weight:
            return super().descend(differentiate, inputs, targets, weights)
        moved = at_tokens(inputs, self.start * self.draws.normal(self.embeddings.shape(inputs)))
        for _ in range(self.steps):
            here = moved
            _, (upward,) = differentiate(
                lambda here=here: self._difference(inputs, targets, weights, here)[1], [here], learn=False
            )
            upward = at_tokens(inputs, upward)
            step = self.step_size * tf.math.divide_no_nan(upward, peaks(upward))
            moved = tf.clip_by_value(here + step, -self.epsilon, self.epsilon)

        def loss() -> tf.Tensor:
            clean, difference = self._difference(inputs, targets, weights, moved, learn=True)
            return self.task.loss_sum(targets, clean, weights) + self.weight * difference

        return differentiate(loss)[0]

    def _difference(
        self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor, moved: tf.Tensor,
        learn: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:  # fmt: skip
        """Logits of the texts as they are, and the weighted sum of how far those of perturbed ones differ."""
        clean = self.logits(inputs)
        clean = clean if learn else tf.stop_gradient(clean)
        apart = self.task.divergence(targets, clean, self.logits_at(inputs, moved))
        return clean, 2.0 * tf.reduce_sum(apart * weights)
