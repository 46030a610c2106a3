"""Parts of a batch that a CPU works through side by side, each by a thread of its own.

TensorFlow shares each operation among all threads, and they wait for each other after every one of them; a part that
is worked through by one thread waits once, at the end. Of a short batch that is a fifth of a step's time (see
docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from kerasft.config.objective import COMPARE_ROWS
from kerasft.config.schema import Config
from kerasft.data.batching.dataset import wants_one_shape
from kerasft.errors import UserError
from kerasft.tasks.base import Task
from kerasft.training.layers.deferred_rows import each_row_once
from kerasft.training.layers.precision import on_accelerator

AUTO = 2
LEAST_WEIGHTS = 1_000_000  # a smaller model gains nothing, and its step takes longer to trace


def requested_microbatches(config: Config, task: Task) -> int:
    """`training.parallel_microbatches`, or what null stands for before a model and its devices are known."""
    setting = config.training.parallel_microbatches
    if setting is not None:
        return setting
    objective = config.training.objective
    if (objective is not None and objective.name in COMPARE_ROWS) or config.training.contrastive is not None:
        return 1
    # What is written, a token at a time, leaves nothing to share out: it takes the threads of all its operations.
    # Batches of tokens have any number of rows, and a plan of their own for each part.
    return AUTO if task.separable and not task.writes and config.ragged_tokens() is None else 1


def chosen_microbatches(config: Config, task: Task, model: keras.Model, strategy: tf.distribute.Strategy) -> int:
    """How many parts of each batch are worked through side by side.

    Args:
        config: `training` says how many are wished for, and how large a batch is.
        task: says whether the loss of a batch is the sum of its parts'.
        model: too small a one gains nothing.
        strategy: that the model trains under: parts stand side by side on one CPU alone.

    Raises:
        UserError: the config names a number that the batch does not divide by, or there is more than one CPU to it.
    """
    training, count = config.training, requested_microbatches(config, task)
    rows = training.batch_size // training.gradient_accumulation
    one_cpu = strategy.num_replicas_in_sync == 1 and not on_accelerator() and not wants_one_shape(strategy)
    if training.parallel_microbatches is None:
        pays = one_cpu and rows % count == 0 and model.count_params() >= LEAST_WEIGHTS
        return count if pays else 1
    if count > 1 and not one_cpu:
        raise UserError(
            f"training.parallel_microbatches: {count} is for a single CPU; unset it where GPUs, a TPU or several "
            "replicas train"
        )
    if count > 1 and config.ragged_tokens() is not None:
        raise UserError(
            f"training.parallel_microbatches: {count} is for batches of training.batch_size examples, not of "
            "training.tokens_per_batch; set it to 1"
        )
    if rows % count:
        raise UserError(
            f"training.parallel_microbatches: {rows} examples do not divide into {count} parts; choose another "
            "training.batch_size, or set it to 1"
        )
    return count


def added(gradients: Sequence[tf.Tensor | tf.IndexedSlices]) -> tf.Tensor | tf.IndexedSlices:
    """The sum of the parts' gradients of a variable."""
    of_rows = [gradient for gradient in gradients if isinstance(gradient, tf.IndexedSlices)]
    return each_row_once(of_rows) if len(of_rows) == len(gradients) else tf.add_n(gradients)
