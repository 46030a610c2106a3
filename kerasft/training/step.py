"""One training step: forward, loss, gradient, update, the same under every strategy."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence

import keras
import tensorflow as tf

from kerasft.data.batching.dataset import part_of
from kerasft.tasks.base import Task
from kerasft.training.layers.deferred_rows import Uses, deferring, rows_used
from kerasft.training.layers.fused_layers import fused_layers
from kerasft.training.layers.kernel_layers import kernels_ready, kernels_together
from kerasft.training.layers.packed_layers import PackedLayers
from kerasft.training.layers.rematerialize import rematerialized
from kerasft.training.microbatches import added


def make_train_step(
    model: keras.Model,
    task: Task,
    optimizer: keras.optimizers.Optimizer,
    strategy: tf.distribute.Strategy,
    accumulation: int = 1,
    fused: Collection[str] = (),
    packed: PackedLayers | None = None,
    recomputed: Sequence[keras.layers.Layer] = (),
    xla: bool = False,
    microbatches: int = 1,
) -> Callable[[tuple], tf.Tensor]:
    """Returns `step(batch) -> loss`, to be called inside a tf.function with a distributed batch.

    The loss is the weighted sum over the global batch divided by its sum of weights, so that one
    replica, many replicas and any gradient accumulation minimise the same thing. It is NaN, too, where the gradient
    is no number: the weights are none either after such a step.

    Args:
        model: features -> logits.
        task: gives the loss.
        optimizer: built for the model's trainable variables.
        strategy: the one the batch is distributed by.
        accumulation: equal parts that a replica works through one after the other to save memory.
        fused: which layers take cheaper forms; see `fused_layers`.
        packed: the layers that run on rows of several texts; None: batches are not packed.
        recomputed: transformer layers that are computed again on the way back, to save memory.
        xla: the step is compiled by XLA, as on a TPU.
        microbatches: equal parts of what is worked through at once, side by side; see `chosen_microbatches`.
    """
    variables = model.trainable_variables

    def gradient_of(features: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor, total: tf.Tensor):
        with packed.rows_of(features) if packed else contextlib.nullcontext(features) as inputs:
            with tf.GradientTape() as tape, rows_used(tape, optimizer.iterations.value) as uses:
                logits = model(inputs, training=True)
                loss = task.loss_sum(targets, logits, weights) / total
            gradients, of_rows = tape.gradient(loss, (variables, uses.vectors))
        return loss, [_dense_or_rows(gradient, v, uses, of_rows) for gradient, v in zip(gradients, variables)]

    def side_by_side(features: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor, total: tf.Tensor):
        parts = [part_of((features, targets, weights), i, microbatches) for i in range(microbatches)]
        # They know nothing of each other before their gradients are added, so that each has a thread of its own.
        # A layer that is computed again on the way back is so in a graph of its own, whose tensors can't be read here.
        with kernels_together(not recomputed) as together:
            losses, gradients = zip(*[gradient_of(*part, total) for part in parts])
        made = together.gradients()
        return tf.add_n(losses), [
            _whole([*of_parts, made.get(id(v))], v) for v, of_parts in zip(variables, zip(*gradients))
        ]

    def accumulated(features: Mapping[str, tf.Tensor], targets: tf.Tensor, weights: tf.Tensor, total: tf.Tensor):
        def body(i, loss, gradients):
            more, new = side_by_side(*part_of((features, targets, weights), i, accumulation), total)
            return i + 1, loss + more, [old + gradient for old, gradient in zip(gradients, new)]

        start = (tf.constant(0), tf.constant(0.0), [tf.zeros(v.shape, v.dtype) for v in variables])
        # one part at a time: several in flight would need the memory that accumulation is to save
        _, loss, gradients = tf.while_loop(lambda i, *_: i < accumulation, body, start, parallel_iterations=1)
        return loss, gradients

    def replica_step(batch: tuple) -> tf.Tensor:
        features, targets, weights = batch
        total = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(weights))
        total = tf.maximum(total, 1e-12)  # every weight of a batch may be 0
        compute = side_by_side if accumulation == 1 else accumulated
        with kernels_ready(model):
            loss, gradients = compute(features, targets, weights, total)
        norm = optimizer.apply_measured(gradients, variables)
        return tf.where(tf.math.is_finite(norm), loss, math.nan)

    def step(batch: tuple) -> tf.Tensor:
        # Around all replicas: each is traced by a thread of its own, and the layers are the same.
        with (
            packed.installed() if packed else contextlib.nullcontext(),
            fused_layers(model, fused),
            deferring(optimizer.deferred),
            rematerialized(recomputed, xla),
        ):
            losses = strategy.run(replica_step, args=(batch,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    return step


def _dense_or_rows(
    gradient, variable: keras.Variable, uses: Uses, of_rows: Sequence
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
    known = [part for part in parts if part is not None]
    return added(known) if known else tf.zeros(variable.shape, variable.dtype)
