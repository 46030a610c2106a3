"""Mixup of the vectors of two texts (Zhang et al. 2018, arXiv:1710.09412; of hidden states Guo et al. 2019,
arXiv:1905.08941).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasft.models.heads.text_classifier import HEAD
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Objective
from kerasft.training.objectives.drawing import Draws

QUANTILES = 4096  # of the distribution that shares are drawn from, with straight lines between them


class Mixup(Objective):
    """The vector that the last layer reads becomes a mixture with another text's; so does the loss, of both targets.

    With share * loss(own target) + (1 - share) * loss(the other's target) no target needs to be a mixture: of a
    cross-entropy, of one label or several, it is the same, and of a squared error but for a constant. A text's other is
    so many rows further in the same part of a batch; the number is drawn, and so is the share, once for a part.

    Args:
        model: features -> logits, by a last layer named HEAD.
        task: gives the loss.
        alpha: shares are of Beta(alpha, alpha): the smaller, the nearer to one of both texts.
        seed: of the run.
    """

    def __init__(self, model: keras.Model, task: Task, *, alpha: float, seed: int):
        super().__init__(model, task)
        from scipy.special import betaincinv  # half a second to import

        self.head, self.draws = model.get_layer(HEAD), Draws(seed)
        self.vectors = keras.Model(model.input, self.head.input)
        self.shares = betaincinv(alpha, alpha, np.linspace(0, 1, QUANTILES)).astype(np.float32)

    @property
    def variables(self) -> Sequence[keras.Variable]:
        return self.draws.variables

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        vectors = self.outputs(self.vectors, inputs)  # (batch, width)
        share, further = self._drawn(tf.shape(vectors)[0])
        part = tf.cast(share, vectors.dtype)
        logits = self.head(part * vectors + (1 - part) * tf.roll(vectors, further, 0))
        own = self.task.loss_sum(targets, logits, weights)
        return share * own + (1 - share) * self.task.loss_sum(tf.roll(targets, further, 0), logits, weights)

    def _drawn(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """A share, and how many rows further a text's other is: from 1 to one less than there are."""
        first, second = tf.unstack((self.draws.evenly(tf.constant([2])) + 1) / 2)
        place = first * (QUANTILES - 1)
        below = tf.minimum(tf.cast(place, tf.int32), QUANTILES - 2)
        low, high = tf.unstack(tf.gather(self.shares, tf.stack([below, below + 1])))
        others = tf.maximum(rows - 1, 1)
        further = 1 + tf.minimum(tf.cast(second * tf.cast(others, tf.float32), tf.int32), others - 1)
        return low + (place - tf.cast(below, tf.float32)) * (high - low), further
