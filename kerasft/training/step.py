"""One training step: forward, loss, gradient, update, the same under every strategy."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import keras
import tensorflow as tf

from kerasft.data.batching.dataset import part_of
from kerasft.peft.base import Method
from kerasft.training.layers.deferred_rows import EmbeddingLookups, deferring, rows_used
from kerasft.training.layers.fused_layers import fused_layers
from kerasft.training.layers.kernel_layers import kernels_ready
from kerasft.training.layers.kernel_products import kernels_together
from kerasft.training.layers.packed_layers import PackedLayers
from kerasft.training.layers.rematerialize import rematerialized
from kerasft.training.microbatches import added
from kerasft.training.objectives.base import Objective


@dataclass(frozen=True)
class StepPlan:
    """All that a training step is made of.

    Attributes:
        model: features -> logits.
        objective: gives the loss.
        optimizer: built for the model's trainable variables.
        strategy: the one the batch is distributed by.
        accumulation: equal parts that a replica works through one after the other to save memory.
        fused: which layers take cheaper forms; see `fused_layers`.
        packed: the layers that run on rows of several texts; None: batches are not packed.
        recomputed: transformer layers that are computed again on the way back, to save memory.
        xla: the step is compiled by XLA, as on a TPU.
        microbatches: equal parts of what is worked through at once, side by side; see `chosen_microbatches`.
        method: of parameter-efficient fine-tuning, which layers compute in the step; None: layers are as they are.
    """

    model: keras.Model
    objective: Objective
    optimizer: keras.optimizers.Optimizer
    strategy: tf.distribute.Strategy
    accumulation: int = 1
    fused: Collection[str] = ()
    packed: PackedLayers | None = None
    recomputed: Sequence[keras.layers.Layer] = ()
    xla: bool = False
    microbatches: int = 1
    method: Method | None = None


def make_train_step(plan: StepPlan) -> Callable[[tuple], tf.Tensor]:
    """Returns `step(batch) -> loss`, to be called inside a tf.function with a distributed batch.

    The loss is the weighted sum over the global batch divided by its sum of weights, so that one
    replica, many replicas and any gradient accumulation minimise the same thing. It is NaN, too, where the gradient
    is no number: the weights are none either after such a step.
    """
    compute = _accumulated if plan.accumulation > 1 else _side_by_side
    variables = plan.model.trainable_variables

    def replica_step(batch: tuple) -> tf.Tensor:
        features, targets, weights = batch
        total = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(weights))
        total = tf.maximum(total, 1e-12)  # every weight of a batch may be 0
        with kernels_ready(plan.model):
            loss, gradients = compute(plan, variables, (features, targets, weights), total)
        now = tf.identity(plan.optimizer.iterations.value)
        if plan.method:
            gradients = plan.method.before_update(variables, gradients, now)
        norm = plan.optimizer.apply_measured(gradients, variables)
        if plan.method:
            plan.method.after_update(now)
        return tf.where(tf.math.is_finite(norm), loss, math.nan)

    @tf.autograph.experimental.do_not_convert  # there is nothing to convert, and looking takes seconds
    def step(batch: tuple) -> tf.Tensor:
        # Around all replicas: each is traced by a thread of its own, and the layers are the same.
        with (
            plan.packed.installed() if plan.packed else contextlib.nullcontext(),
            fused_layers(plan.model, plan.fused),
            plan.method.installed() if plan.method else contextlib.nullcontext(),
            deferring(plan.optimizer.deferred),
            plan.objective.installed(),
            rematerialized(plan.recomputed, plan.xla),
        ):
            losses = plan.strategy.run(replica_step, args=(batch,))
        return plan.strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    return step


Variables = Sequence[keras.Variable]
Batch = tuple[Mapping[str, tf.Tensor], tf.Tensor, tf.Tensor]  # features, targets, weights
LossAndGradients = tuple[tf.Tensor, list]


def _gradient_of(plan: StepPlan, variables: Variables, batch: Batch, total: tf.Tensor) -> LossAndGradients:
    """The loss of a part of a batch, and its gradients, None of what the loss does not depend on."""
    features, targets, weights = batch
    with plan.packed.rows_of(features) if plan.packed else contextlib.nullcontext(features) as inputs:
        passes = _Passes(variables, total, plan.optimizer.iterations.value)
        loss = plan.objective.descend(passes, inputs, targets, weights)
    return loss, passes.gradients()


class _Passes:
    """What an objective has differentiated of a part of a batch: see `Differentiate`."""

    def __init__(self, variables: Variables, total: tf.Tensor, now: tf.Tensor):
        self.variables, self.total, self.now = variables, total, now
        self.found: list[list] = []

    def __call__(
        self, loss: Callable[[], tf.Tensor], by: Sequence[tf.Tensor] = (), learn: bool = True
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        variables = self.variables if learn else ()
        # What is not to be learnt must not be among the gradients that are made for all parts together.
        with contextlib.nullcontext() if learn else kernels_together(False):
            with tf.GradientTape() as tape, rows_used(tape, self.now) as uses:
                tape.watch(by)
                value = loss() / self.total
            # The stub does not say that they are as the sources are.
            sources = (variables, uses.vectors if learn else [], by)
            gradients, of_rows, of_by = cast(tuple[list, list, list], tape.gradient(value, sources))
        if learn:
            self.found.append([_dense_or_rows(g, v, uses, of_rows) for g, v in zip(gradients, variables)])
        return value, list(of_by)

    def gradients(self) -> list:
        """The sums over the passes."""
        if len(self.found) == 1:
            return self.found[0]
        return [_sum_or_none(parts) for parts in zip(*self.found)]


def _side_by_side(plan: StepPlan, variables: Variables, batch: Batch, total: tf.Tensor) -> LossAndGradients:
    """The sums over microbatches."""
    parts = [part_of(batch, i, plan.microbatches) for i in range(plan.microbatches)]
    # They know nothing of each other before their gradients are added, so that each has a thread of its own.
    # A layer that is computed again on the way back is so in a graph of its own, whose tensors can't be read here.
    with kernels_together(not plan.recomputed) as together:
        losses, gradients = zip(*[_gradient_of(plan, variables, part, total) for part in parts])
    deferred = together.gradients()
    return tf.add_n(losses), [
        _whole([*of_parts, deferred.get(id(v))], v) for v, of_parts in zip(variables, zip(*gradients))
    ]


def _accumulated(plan: StepPlan, variables: Variables, batch: Batch, total: tf.Tensor) -> LossAndGradients:
    """The sums over parts that are worked through one after the other."""

    def body(i, loss, gradients):
        more, new = _side_by_side(plan, variables, part_of(batch, i, plan.accumulation), total)
        return i + 1, loss + more, [old + gradient for old, gradient in zip(gradients, new)]

    start = (tf.constant(0), tf.constant(0.0), [tf.zeros(v.shape, v.dtype) for v in variables])
    # one part at a time: several in flight would need the memory that accumulation is to save
    _, loss, gradients = tf.while_loop(lambda i, *_: i < plan.accumulation, body, start, parallel_iterations=1)
    return loss, gradients


def _dense_or_rows(
    gradient, variable: keras.Variable, uses: EmbeddingLookups, of_rows: Sequence
) -> tf.Tensor | tf.IndexedSlices | None:
    """The gradient of a variable: of a deferred table's rows that are used, once each, of any other one dense.

    Dense, because the rows of a text's tokens repeat, and a norm over unsummed rows would be wrong. None of what the
    loss doesn't depend on, such as a language model's output layer under another head.
    """
    table = next((table for table in uses.tables if table.variable is variable), None)
    if table is None:
        return None if gradient is None else tf.convert_to_tensor(gradient)
    if gradient is not None:
        raise RuntimeError(f"{variable.path} is read as a whole, too; its layer must not be deferred")
    return uses.gradient(table, of_rows)


def _whole(parts: Sequence[tf.Tensor | tf.IndexedSlices | None], variable: keras.Variable):
    """The sum of a variable's gradients; zeros where there are none."""
    found = _sum_or_none(parts)
    return tf.zeros(variable.shape, variable.dtype) if found is None else found


def _sum_or_none(parts: Sequence[tf.Tensor | tf.IndexedSlices | None]) -> tf.Tensor | tf.IndexedSlices | None:
    known = [part for part in parts if part is not None]
    return added(known) if known else None
