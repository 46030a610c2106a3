"""Which values of AdaLoRA stay: how much each matters, and how many there may be (arXiv:2303.10512, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from kerasft.models.shapes import static_size

if TYPE_CHECKING:
    from kerasft.peft.base import Bank

BETA = 0.85  # of both moving averages, as the paper has them
_ONCE = "only_first_replica"


class Importance:
    """How much each triplet of a layer matters.

    That of a number w with the gradient g is EMA(|w g|) * EMA(| |w g| - EMA(|w g|) |); that of a triplet is that of its
    value, and the means over its column of P and over its row of Q.

    Args:
        bank: gets the moving averages, which do not train and belong to checkpoints.
        path: of the layer.
        variables: P (inner, rank), e (rank,) and Q (rank, outer), in this order.

    Attributes:
        live: (rank,), 1 where a value has a place in the budget, otherwise 0.
    """

    def __init__(self, bank: Bank, path: str, variables: Mapping[str, keras.Variable]):
        self.variables = variables
        self._means, self._spreads = (
            {
                name: bank.add(f"{path}/{name}_{what}", np.zeros(variable.shape, np.float32), False, _ONCE)
                for name, variable in variables.items()
            }
            for what in ("mean", "spread")
        )
        first, values, last = variables
        self._axes = {first: 0, values: (), last: 1}  # that are not the rank's
        self.live = bank.add(f"{path}/live", np.ones(variables[values].shape, np.float32), False, _ONCE)

    def update(self, gradients: Mapping[str, tf.Tensor]) -> None:
        """After one more gradient, that of the whole batch; the variables are those that it was taken at."""
        for name, gradient in gradients.items():
            mean, spread = self._means[name].value, self._spreads[name].value
            seen = tf.abs(tf.convert_to_tensor(self.variables[name]) * gradient)
            now = BETA * tf.convert_to_tensor(mean) + (1.0 - BETA) * seen
            apart = BETA * tf.convert_to_tensor(spread) + (1.0 - BETA) * tf.abs(seen - now)
            mean.assign(now)
            spread.assign(apart)

    def scores(self) -> tf.Tensor:
        """(rank,)"""
        each = {
            name: tf.convert_to_tensor(mean) * tf.convert_to_tensor(self._spreads[name])
            for name, mean in self._means.items()
        }
        return tf.add_n([tf.reduce_mean(value, self._axes[name]) for name, value in each.items()])


@dataclass(frozen=True)
class Budget:
    """How many values all layers have together.

    Attributes:
        first: at first.
        last: from `end` on.
        begin: steps before it begins to fall, by a cubic.
        end: steps after which it is `last`, and the choice is settled.
        every: steps from one choice to the next.
    """

    first: int
    last: int
    begin: int
    end: int
    every: int = 1

    def at(self, step: int) -> int:
        """After so many steps, if there is a choice then."""
        if step <= self.begin:
            return self.first
        left = 1.0 - min(1.0, (step - self.begin) / (self.end - self.begin))
        return int(self.last + (self.first - self.last) * left**3)

    def chooses(self, step: int) -> bool:
        """Whether there is a choice after so many steps."""
        return self.begin < step <= self.end and (step == self.end or (step - self.begin) % self.every == 0)

    def masks(self, scores: Sequence[tf.Tensor], live: Sequence[tf.Tensor], step: tf.Tensor) -> list[tf.Tensor]:
        """The places of each layer, 1 or 0, after so many steps: of the highest scores of all, as many as `at` says.

        Args:
            scores: (rank,) of each layer.
            live: those of before, which stay where there is no choice.
            step: a scalar.
        """
        table = tf.constant([self.at(step) if self.chooses(step) else 0 for step in range(self.end + 1)])
        step = tf.cast(step, tf.int32)
        count = tf.where(step <= self.end, tf.gather(table, tf.minimum(step, self.end)), 0)
        order = tf.argsort(tf.concat(list(scores), 0), direction="DESCENDING", stable=True)
        chosen = tf.cast(tf.argsort(order, stable=True) < count, tf.float32)  # the place in the order is few enough
        sizes = [static_size(each, 0) for each in scores]
        return [tf.where(count > 0, new, tf.convert_to_tensor(old)) for new, old in zip(tf.split(chosen, sizes), live)]
