"""Logits of a whole split: every example exactly once, in the order of the data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.batching.batching import sorted_batches
from kerasft.data.batching.dataset import distribute, part_of, wants_one_shape
from kerasft.data.batching.remote_hosts import SentBatches
from kerasft.data.prepared.prepared import Prepared


class Evaluator:
    """Runs a model over a prepared split under a strategy.

    Args:
        model: features -> logits.
        strategy: created with.
        batch_size: examples a step, over all replicas.
        condense: logits and targets -> what is kept of the logits; None: all.
        microbatches: equal parts of a batch that a CPU works through side by side.
        cheaper: a context in which the model's layers have forms of their own.
    """

    def __init__(
        self,
        model: keras.Model,
        strategy: tf.distribute.Strategy,
        batch_size: int,
        condense: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        microbatches: int = 1,
        cheaper: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
    ):
        self.strategy, self.microbatches = strategy, microbatches
        replicas = strategy.num_replicas_in_sync
        self.batch_size = -(-batch_size // replicas) * replicas
        self.static = wants_one_shape(strategy)

        def part_forward(features, targets):
            logits = model(features, training=False)
            return logits if condense is None else condense(logits, targets)

        def replica_forward(features, targets, _):
            parts = [part_of((features, targets), i, microbatches) for i in range(microbatches)]
            return tf.concat([part_forward(*part) for part in parts], 0)

        def forward(batch):
            with cheaper():
                return strategy.run(replica_forward, args=batch)

        # A trace for each length would take longer than a split of short texts.
        self.forward = tf.function(forward, reduce_retracing=True, autograph=False)

    def logits(self, prepared: Prepared, progress: Callable[[int], None] | None = None) -> np.ndarray:
        """(rows, ...) float32 logits, row i those of the split's row i; (tokens, ...) where tokens have targets.

        Rows are worked through sorted by length and put back in order; rows that only fill a batch up
        are left out.

        Args:
            prepared: the split that is measured.
            progress: called with the number of rows done, 0 once the graph is built.
        """
        batches = sorted_batches(prepared.tokens, self.batch_size)
        size = self.batch_size if self.static else None
        dataset = distribute(prepared, lambda: batches, self.strategy, self.microbatches, size)
        if not self.static and not isinstance(
            dataset, SentBatches
        ):  # of any shape that batches can have: the first one's own would make a second trace
            self.forward.get_concrete_function(dataset.element_spec)
        if progress:
            progress(0)
        whole, count = np.empty(0, np.float32), 0
        for rows, batch in zip(batches, dataset):
            logits = self._collected(self.forward(batch))[: len(rows)]  # padding rows come last
            if prepared.token_targets:  # (batch, length, ...) -> (tokens of the batch, ...)
                logits = logits[np.arange(logits.shape[1]) < prepared.lengths[rows][:, None]]
            indices = prepared.token_index(rows) if prepared.token_targets else rows
            if not count:  # the first batch says how wide logits are
                size = prepared.offsets[-1] if prepared.token_targets else len(prepared)
                whole = np.empty((size, *logits.shape[1:]), np.float32)
            whole[indices] = logits
            count += len(rows)
            if progress:
                progress(count)
        return whole

    def _collected(self, logits: tf.Tensor) -> np.ndarray:
        """Each replica's logits -> those of the global batch, on the host."""
        if isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return self.strategy.gather(logits, axis=0).numpy()
        # in one process no collective is needed
        return np.concatenate([part.numpy() for part in self.strategy.experimental_local_results(logits)])
