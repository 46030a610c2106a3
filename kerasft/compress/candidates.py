"""What a method made, as a model with its head, and the score that it gets."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from kerasft.assembly import Assembled, head_of, with_head
from kerasft.compress.base import Smaller
from kerasft.data.tables.table import Table
from kerasft.evaluation.evaluate import Evaluator
from kerasft.tasks.base import Task


def head_values(assembled: Assembled) -> dict[str, np.ndarray]:
    """Path -> value of each variable of a model's head."""
    return {path: np.asarray(keras.ops.convert_to_numpy(each)) for path, each in head_of(assembled).items()}


def as_model(task: Task, smaller: Smaller, values: Mapping[str, np.ndarray]) -> Assembled:
    """The smaller backbone with the head of the run.

    Args:
        task: with its state, which is that of the smaller model from now on.
        smaller: what a method made.
        values: of the run's head; those that the method changed are taken from it.
    """
    task.state.update(smaller.state)
    made = with_head(task, smaller.backbone, smaller.tokenizer)
    values = {**values, **smaller.head}
    for path, variable in head_of(made).items():
        variable.assign(values[path])
    return made


def headline(task: Task, assembled: Assembled, table: Table) -> float:
    """The figure that runs are chosen by, on a split."""
    prepared = task.prepare(table, assembled.preprocessor)
    size = task.config.training.evaluation_batch_size
    logits = Evaluator(assembled.model, tf.distribute.get_strategy(), size, task.condense).logits(prepared)
    return float(task.metrics(prepared, logits)[task.headline])
