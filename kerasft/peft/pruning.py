"""Pruning while a model trains: weights that matter least become zero, and all others go on learning.

By magnitude (Zhu and Gupta 2017, arXiv:1710.01878), or by movement (Sanh et al. 2020, arXiv:2005.07683): a weight
matters that moves away from zero, which is the sum over the steps of -w times its gradient. The share of zeros grows by
a cubic. Each matrix has the same share. A weight that became zero stays zero as long as its mask does: unlike in the
paper on movement, it does not go on learning under its mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.config.peft import PruningConfig
from kerasft.errors import UserError
from kerasft.peft.adapter_files import Adapter
from kerasft.peft.inside import Inside
from kerasft.peft.targets import find_targets

_ONCE = "only_first_replica"


class Pruning(Inside):
    """`model.peft.method: pruning`: all of the backbone trains; masks are a part of each checkpoint."""

    name = "pruning"
    portable = False
    config: PruningConfig

    def __init__(
        self, config: PruningConfig, model: keras.Model, backbone: keras.Model, seed: int, start: Adapter | None = None
    ):
        super().__init__(config, model, backbone, seed, start)
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise UserError("model.peft.method: pruning is for one device; train on one, or use another method")
        targets = find_targets(model, backbone, config.targets, config.layers)
        self.kernels = [target.layer.kernel for target in targets]
        self.masks = [self._add(kernel, "mask", 1.0) for kernel in self.kernels]
        by_movement = config.by == "movement"
        self.movements = [self._add(kernel, "movement", 0.0) for kernel in self.kernels] if by_movement else []
        self.last = 0  # step after which the masks stay, once the number of steps is known
        self.shares = np.zeros(1, np.float32)

    def _add(self, kernel: keras.Variable, what: str, value: float) -> keras.Variable:
        return self.bank.add(f"{kernel.path}/{what}", np.full(kernel.shape, value, np.float32), False, _ONCE)

    def chosen(self) -> list[keras.Variable]:
        return list(self.backbone.weights)

    @property
    def bookkeeping(self) -> list[keras.Variable]:
        return self.untrained

    def begin(self, steps: int) -> Mapping[str, float]:
        config = self.config
        first, self.last = round(config.prune_from * steps), max(round(config.prune_until * steps), 1)
        first = min(first, self.last - 1)
        self.shares = np.array(
            [share_of_zeros(step, first, self.last, config.sparsity) for step in range(self.last + 1)]
        )
        return self.rates

    def settled(self, step: int) -> bool:
        return step >= self.last

    def before_update(self, variables: Sequence[keras.Variable], gradients: list, now: tf.Tensor) -> list:
        places = {id(variable): place for place, variable in enumerate(variables)}
        for kernel, movement in zip(self.kernels, self.movements):
            movement.value.assign_sub(tf.convert_to_tensor(kernel) * gradients[places[id(kernel)]])
        return gradients

    def after_update(self, now: tf.Tensor) -> None:
        step = tf.cast(now, tf.int32) + 1
        chooses = (step <= self.last) & ((step % self.config.every == 0) | (step == self.last))
        share = tf.gather(tf.constant(self.shares, tf.float32), tf.minimum(step, self.last))
        for place, (kernel, mask) in enumerate(zip(self.kernels, self.masks)):
            old, values = tf.convert_to_tensor(mask), tf.convert_to_tensor(kernel)
            scores = tf.convert_to_tensor(self.movements[place]) if self.movements else tf.abs(values)
            new = tf.cond(chooses, lambda scores=scores: mask_of(scores, share), lambda old=old: old)
            mask.value.assign(new)
            kernel.value.assign(values * new)

    def merged_values(self) -> Iterator[tuple[keras.Variable, np.ndarray]]:
        """Averages of weights over steps have no zeros of their own."""
        for kernel, mask in zip(self.kernels, self.masks):
            yield kernel, keras.ops.convert_to_numpy(kernel) * keras.ops.convert_to_numpy(mask)

    @property
    def figures(self) -> Mapping[str, Any]:
        masks = [keras.ops.convert_to_numpy(mask) for mask in self.masks]
        zeros, numbers = sum(int(mask.size - mask.sum()) for mask in masks), sum(mask.size for mask in masks)
        return {"zeros": zeros, "of": numbers, "sparsity": zeros / numbers}


def share_of_zeros(step: int, first: int, last: int, sparsity: float) -> float:
    """After so many steps: 0 until `first`, `sparsity` from `last` on, and a cubic between."""
    left = 1.0 - min(1.0, max(0.0, (step - first) / (last - first)))
    return sparsity * (1.0 - left**3)


def mask_of(scores: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """1 for the highest scores of a matrix and 0 for a share of the lowest."""
    flat = tf.reshape(scores, [-1])
    count = tf.cast(tf.round(share * tf.cast(tf.size(flat), tf.float32)), tf.int32)
    lowest = tf.argsort(flat, stable=True)[:count]
    zeros = tf.scatter_nd(lowest[:, None], tf.ones_like(lowest, tf.float32), tf.shape(flat))
    return tf.reshape(1.0 - zeros, tf.shape(scores))
