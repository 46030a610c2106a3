"""Rows of a frozen table of embeddings that tokens of a task's own have: they train, and no other row does."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from kerasft.models.layer_classes import Changes, Form
from kerasft.peft.adapter_files import Adapter

NAME = "new_rows"
TENSOR = "kerasft_new_rows.weight"


class NewRows:
    """What is added to some rows of a table.

    Args:
        layer: of embeddings, frozen.
        ids: the rows.
        moved: (ids, width) zeros, what is added to them.

    Attributes:
        never_said: the model's output layer has them, too, and never answers with them: their bias
            is `kerasft.models.presets.masked_lm_weights.UNSAID`.
    """

    never_said = False

    def __init__(self, layer: keras.layers.Layer, ids: np.ndarray, moved: keras.Variable):
        self.layer, self.ids, self.moved = layer, ids, moved

    def now(self) -> tf.Tensor:
        """(ids, width), what is added now."""
        return tf.convert_to_tensor(self.moved)

    def changes(self) -> Changes:
        kind = type(self.layer)
        return [(self.layer, type(kind.__name__, (_WithNewRows, kind), {"rows": self}))]

    def merged_values(self) -> Iterator[tuple[keras.Variable, np.ndarray]]:
        table = np.array(keras.ops.convert_to_numpy(self.layer.embeddings))
        table[self.ids] += keras.ops.convert_to_numpy(self.now())
        yield self.layer.embeddings, table

    def tensors(self) -> dict[str, np.ndarray]:
        """The rows as they are, since no base has them."""
        return {TENSOR: next(self.merged_values())[1][self.ids]}

    def start_from(self, adapter: Adapter) -> bool:
        """Takes the rows of an adapter; False: it has none of this size."""
        rows = adapter.tensors.get(TENSOR)
        if rows is None or rows.shape != tuple(self.moved.shape):
            return False
        self.moved.assign(rows - keras.ops.convert_to_numpy(self.layer.embeddings)[self.ids])
        return True


class _WithNewRows(Form, keras.layers.Layer):
    """Before the class of an embedding layer."""

    adapted = True
    rows: NewRows

    def call(self, inputs, *args, **kwargs):
        if args or kwargs.get("reverse"):
            if not self.rows.never_said:
                raise RuntimeError(f"{self.name} is an output layer, too; new rows are read alone")
            return super().call(inputs, *args, **kwargs)
        vectors = super().call(inputs)  # (..., width)
        chosen = tf.equal(tf.cast(inputs, tf.int32)[..., None], tf.constant(self.rows.ids, tf.int32))  # (..., ids)
        moved = tf.cast(self.rows.now(), vectors.dtype)
        return vectors + tf.cast(chosen, vectors.dtype) @ moved


def fresh_rows(before: keras.Model, after: keras.Model) -> np.ndarray:
    """The ids whose vectors a task has made, of a backbone that it was given and the one that it gave back."""
    if before is after:
        return np.zeros(0, np.int64)
    old, new = (keras.ops.convert_to_numpy(backbone.token_embedding.embeddings) for backbone in (before, after))
    other = np.ones(len(new), bool)
    other[: len(old)] = (new[: len(old)] != old).any(axis=1)
    return np.flatnonzero(other)
