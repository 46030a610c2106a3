"""What single_label and multi_label share: names of labels, and how they are looked up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

    from kerasft.data.tables.table import Table


def fit_labels(config: Config, state: dict[str, Any], found: set[str]) -> None:
    named = config.task.labels
    if named is not None and found - set(named):
        raise UserError(f"task.labels: the training data also has {sorted(found - set(named))[:5]}; add them")
    state["labels"] = list(named) if named is not None else sorted(found)


def check_unknown(labels: list[str], splits: Mapping[str, Table], names) -> None:
    known = set(labels)
    for split in ("validation", "test"):
        table = splits.get(split)
        strange = (
            [
                (row, name)
                for row, value in enumerate(table.column("label"))
                for name in names(value)
                if name not in known
            ]
            if table is not None
            else []
        )
        if strange:
            row, name = strange[0]
            where = table.rows(np.asarray([row]))[0]["where"]
            more = f" (and {len(strange) - 1} more such rows)" if len(strange) > 1 else ""
            raise UserError(
                f"{where}: the label {name!r} does not occur in data.train{more}; "
                "add examples of it to train, or remove these rows"
            )


def check_weight_names(chosen: Mapping[str, float], labels: list[str]) -> None:
    for name, weight in chosen.items():
        if name not in labels:
            raise UserError(f"training.class_weights.{name}: no such label; there are: {', '.join(labels[:20])}")
        if weight < 0:
            raise UserError(f"training.class_weights.{name}: {weight} is negative; use 0 or more")


def top_label(probabilities: tf.Tensor, labels: list[str]) -> dict[str, tf.Tensor]:
    import tensorflow as tf

    top = tf.argmax(probabilities, axis=-1, output_type=tf.int32)  # (batch, labels) -> (batch,)
    return {"label": tf.gather(tf.constant(labels), top), "score": tf.reduce_max(probabilities, axis=-1)}


def classify_outputs(scores: tf.Tensor, labels: list[str]) -> dict[str, tf.Tensor]:
    """TensorFlow Serving's Classify: (batch, labels) scores -> the labels' names beside them."""
    import tensorflow as tf

    return {"classes": tf.tile(tf.constant(labels)[tf.newaxis], [tf.shape(scores)[0], 1]), "scores": scores}


def lists(outputs: Mapping[str, np.ndarray], *names: str) -> list[list[Any]]:
    return [
        [value.decode("utf-8") if isinstance(value, bytes) else value for value in outputs[name].tolist()]
        for name in names
    ]
