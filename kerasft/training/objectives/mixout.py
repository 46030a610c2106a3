"""Mixout: units of the backbone's layers go back to their first weights at random (Lee et al. 2020, arXiv:1909.11299).

As in the authors' program, what is drawn is which inputs of a linear layer, for all of its outputs and a whole batch.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping

import keras
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.layer_classes import as_classes
from kerasft.peft.forms import LayerAdapter, Product, Values, adapted
from kerasft.peft.targets import Target, inner_linear_layers
from kerasft.tasks.base import Task
from kerasft.training.objectives.base import Differentiate, Objective


class _Drawn(threading.local):
    """The seed of a step, while it is traced; replicas are traced in threads of their own."""

    seed: tf.Tensor | None = None


class MixedKernel(LayerAdapter):
    """x -> x W', where W' = U + m (W - U) / (1 - share), row by row; U is what the kernel W began with.

    m is 0 with the probability `share` and 1 otherwise, so that W' is W on average.

    Args:
        target: the layer.
        share: of the rows.
        place: of the layer among all, which its numbers depend on.
        drawn: the seed.
    """

    def __init__(self, target: Target, share: float, place: int, drawn: _Drawn):
        super().__init__(target, {})
        self.share, self.place, self.drawn = share, place, drawn
        self.first = tf.Variable(tf.constant(target.matrix()), trainable=False)  # (inner, outer)

    def product(self, x: tf.Tensor, base: Product, training: bool | None) -> tf.Tensor:
        seed, target = self.drawn.seed, self.target
        if seed is None:
            return base(x)
        first = tf.convert_to_tensor(self.first)
        kernel = tf.reshape(tf.cast(tf.convert_to_tensor(target.layer.kernel), tf.float32), first.shape)
        return x @ tf.cast(first + self.factors(seed) * (kernel - first), x.dtype)

    def factors(self, seed: tf.Tensor) -> tf.Tensor:
        """(inner, 1) float32: 0, or 1 / (1 - share)."""
        drawn = tf.random.stateless_uniform([self.target.inner, 1], seed + tf.constant([self.place, 0]))
        return tf.cast(drawn >= self.share, tf.float32) / (1.0 - self.share)

    def merged(self) -> Values:
        return iter(())


class Mixout(Objective):
    """The task's loss of a backbone whose linear layers are mixed with what they began with.

    What is drawn is a function of the run's seed and of the step: the same in all parts of a batch, on all replicas
    and where a layer is computed again. Embeddings, biases, normalisation and the head are left as they are.

    Args:
        model, task: see `Objective`.
        share: of the inputs of each layer; 0 is the task's loss.

    Raises:
        UserError: the model has no such layers.
    """

    def __init__(self, model: keras.Model, task: Task, *, share: float):
        super().__init__(model, task)
        self.drawn, targets = _Drawn(), inner_linear_layers(model) if share else []
        if share and not targets:
            raise UserError(
                "training.objective: mixout finds no linear layer in a transformer layer of this model; set it to null"
            )
        self.kernels = [MixedKernel(target, share, place, self.drawn) for place, target in enumerate(targets)]

    def installed(self) -> contextlib.AbstractContextManager[None]:
        return as_classes(adapted(self.kernels))

    def loss(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        return self.task.loss_sum(targets, self.logits(inputs), weights)

    def descend(
        self, differentiate: Differentiate, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        seed = tf.stack([0, self.task.config.seed % 2**31])
        self.drawn.seed = seed + tf.stack([tf.cast(differentiate.now, tf.int32) * len(self.kernels), 0])
        try:
            return super().descend(differentiate, inputs, targets, weights)
        finally:
            self.drawn.seed = None
