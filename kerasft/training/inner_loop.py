"""Several training steps in one call of the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf

from kerasft.data.batching.remote_hosts import SentBatches, sent_batch

Totals = tuple[tf.Tensor, tf.Tensor, tf.Tensor]


class InnerLoop:
    """Runs steps over the batches of an iterator.

    Args:
        step: batch -> loss, to be called inside a tf.function; see `make_train_step`.
        timed: note how long steps wait for a batch that this machine's own pipeline gives; on a TPU, whose loop runs
            on the device, that can't be seen.
        hosts: of the replicas, where they are other machines; see `remote_hosts`.

    Attributes:
        timed: the waiting is known.
    """

    def __init__(self, step: Callable[[Any], tf.Tensor], timed: bool, hosts: Sequence[str] = ()):
        def loop(next_batch: Callable[[tf.Tensor, tf.Tensor], tuple[Any, tf.Tensor]], num_steps: tf.Tensor) -> Totals:
            total, good, waited = tf.constant(0.0), tf.constant(0), tf.constant(0.0)
            for i in tf.range(num_steps):
                batch, seconds = next_batch(i, total)
                loss = step(batch)
                total += loss
                good += tf.cast(tf.math.is_finite(total), tf.int32)  # once it is none, it stays none
                waited += seconds
            return total / tf.cast(num_steps, tf.float32), good, waited

        @tf.function
        def run(iterator: Iterator, num_steps: tf.Tensor) -> Totals:
            return loop(lambda _, total: _next_batch(iterator, total, timed), num_steps)

        @tf.function
        def run_batches(batches: Any, num_steps: tf.Tensor) -> Totals:
            return loop(lambda i, _: (sent_batch(batches, i, hosts), tf.constant(0.0)), num_steps)

        self._run, self._run_batches = run, run_batches
        self.timed = timed or bool(hosts)

    def __call__(self, iterator: Iterator, steps: int) -> tuple[float, int, float]:
        """Runs that many steps.

        Returns:
            The mean loss; how many steps had a finite one before the first that had none; the seconds in which the
            steps waited for batches, 0 where that is not known.
        """
        if not isinstance(iterator, SentBatches):
            loss, good, waited = self._run(iterator, tf.constant(steps))
            return float(loss), int(good), float(waited)
        start = time.monotonic()
        batches = iterator.take(steps)
        waited = time.monotonic() - start
        loss, good, _ = self._run_batches(batches, tf.constant(steps))
        return float(loss), int(good), waited


def _next_batch(iterator: Iterator, before: tf.Tensor, timed: bool) -> tuple[Any, tf.Tensor]:
    """In graph: the next batch, and the seconds from when `before` was there until the batch was, too."""
    if not timed:
        return next(iterator), tf.constant(0.0)
    with tf.control_dependencies([before]):
        start = tf.timestamp()
    batch = next(iterator)
    with tf.control_dependencies([start, *tf.nest.flatten(batch, expand_composites=True)]):
        end = tf.timestamp()
    # Nothing of the step begins before the clock was read: where threads are few, it would be read after the step.
    with tf.control_dependencies([end]):
        batch = tf.nest.map_structure(tf.identity, batch, expand_composites=True)
    return batch, tf.cast(end - start, tf.float32)
