"""What the figures of a compiled step mean: memory, time that can't be undercut, cost. Arithmetic alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from kerasft.accelerators.chips import Accelerator


@dataclass(frozen=True)
class Compiled:
    """What the compiler says of the program of one chip.

    Attributes:
        argument_bytes: weights, slots of the optimizer, the batch.
        output_bytes: what the program returns, updated weights included.
        alias_bytes: of the output, what takes the place of arguments.
        temporary_bytes: everything in between.
        code_bytes: the program itself.
        flops: floating-point operations of one run, by XLA's own count.
        seconds: compiling took.
    """

    argument_bytes: int
    output_bytes: int
    alias_bytes: int
    temporary_bytes: int
    code_bytes: int
    flops: float
    seconds: float

    @property
    def total_bytes(self) -> int:
        """HBM that one chip needs."""
        new = self.output_bytes - self.alias_bytes
        return self.argument_bytes + new + self.temporary_bytes + self.code_bytes

    def least_seconds(self, accelerator: Accelerator) -> float:
        """No run can be faster: every operation at peak, or every argument read and every output written once."""
        chip = accelerator.chip
        traffic = self.argument_bytes + self.output_bytes
        return max(self.flops / chip.flops, traffic / chip.hbm_bandwidth)


@dataclass(frozen=True)
class Refused:
    """A program that the compiler did not accept.

    Attributes:
        reason: one line.
        memory: whether the reason is that it does not fit.
        layer: the layer that it came from, where that is known.
    """

    reason: str
    memory: bool = False
    layer: str | None = None


@dataclass(frozen=True)
class Length:
    """How long a run is.

    Attributes:
        steps: of training.
        steps_per_epoch: after which training has seen every row once.
        evaluations: of the validation split.
        evaluation_steps: batches of one evaluation.
    """

    steps: int
    steps_per_epoch: int
    evaluations: int
    evaluation_steps: int


@dataclass(frozen=True)
class Bounds:
    """Times in seconds that can't be undercut, and the least cost."""

    step: float
    evaluation_step: float
    epoch: float
    run: float
    cost: float | None

    @classmethod
    def of(
        cls,
        train: Compiled,
        evaluation: Compiled,
        reduced_bytes: int,
        length: Length,
        accelerator: Accelerator,
        price: float | None,
    ) -> Bounds:
        """The bounds of a run.

        Args:
            train: the step of training.
            evaluation: the step of evaluation.
            reduced_bytes: of the gradients that are summed over all chips.
            length: how many steps of training and of evaluation the run has.
            accelerator: what it runs on.
            price: of a chip for an hour, in any currency.
        """
        exchange = sent_bytes(reduced_bytes, accelerator.chips) / (accelerator.chip.ici_bandwidth / 2)
        step = max(train.least_seconds(accelerator), exchange)  # an exchange may run beside the computation
        evaluating = evaluation.least_seconds(accelerator)
        one = evaluating * length.evaluation_steps
        run = length.steps * step + length.evaluations * one
        cost = None if price is None else price * accelerator.chips * run / 3600
        return cls(step, evaluating, length.steps_per_epoch * step + one, run, cost)


def sent_bytes(reduced_bytes: int, chips: int) -> float:
    """What each chip has to send for an all-reduce, however clever: 2 (n - 1) / n of it (Patarasuk and Yuan 2009)."""
    return 2 * (chips - 1) / chips * reduced_bytes


def largest(fits: Callable[[int], bool], start: int, unit: int) -> int | None:
    """A multiple of `unit` that fits, 1/32 below the largest at most, by doubling and bisection; None: not one unit.

    Args:
        fits: asked for multiples of `unit`; true up to some size and false beyond.
        start: where to begin; rounded to a multiple.
        unit: what the answer is a multiple of.
    """
    low, high = 0, max(1, math.floor(start / unit))
    while fits(high * unit):
        low, high = high, 2 * high
    while high - low > max(1, low // 32):  # each question is minutes of compiling
        middle = (low + high) // 2
        if fits(middle * unit):
            low = middle
        else:
            high = middle
    return low * unit or None
