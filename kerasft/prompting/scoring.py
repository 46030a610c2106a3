"""A model's outputs for texts, a few at a time, before there is a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

AT_ONCE = 64  # texts


def outputs_of(model: keras.Model, preprocessor: Any, columns: Mapping[str, Sequence[str]]) -> np.ndarray:
    """{column: texts} -> (texts, ...) of a model, texts of like length together."""
    names = preprocessor.inputs
    rows = [tuple(str(columns[name][row]) for name in names) for row in range(len(columns[names[0]]))]
    order = sorted(range(len(rows)), key=lambda row: sum(map(len, rows[row])))
    specs = [{name: tf.TensorSpec([None], tf.string) for name in names}]
    answer = tf.function(lambda texts: model(preprocessor(texts), training=False), specs, autograph=False)
    parts = []
    for start in range(0, len(order), AT_ONCE):
        part = [rows[row] for row in order[start : start + AT_ONCE]]
        parts.append(answer({name: tf.constant(column) for name, column in zip(names, zip(*part))}).numpy())
    outputs = np.concatenate(parts)
    return outputs[np.argsort(order, kind="stable")]
