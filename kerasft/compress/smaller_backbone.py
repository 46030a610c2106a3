"""A backbone of the same family with other sizes, whose weights are made from those of the old one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from kerasft.models.presets.layer_settings import rebuilt

# Path of a weight, its old value and the new shape -> the new value.
Change = Callable[[str, np.ndarray, tuple[int, ...]], np.ndarray]


def resized(backbone: keras.Model, change: Change, **sizes: Any) -> keras.Model:
    """Builds a backbone again with other sizes, and fills it.

    Args:
        backbone: is left as it is.
        change: gives a weight its new value, where its shape is another or its value shall be.
        sizes: arguments of its constructor.
    """
    made = rebuilt(backbone, **sizes)
    for old, new in zip(backbone.weights, made.weights, strict=True):
        new.assign(change(old.path, keras.ops.convert_to_numpy(old), tuple(new.shape)))
    return made


def by_path(changes: Mapping[str, Callable[[np.ndarray], np.ndarray]]) -> Change:
    """Gives each weight that is named by its path a value made from its old one; the others stay."""
    return lambda path, value, shape: changes[path](value) if path in changes else value


def with_rows(backbone: keras.Model, rows: np.ndarray) -> keras.Model:
    """The backbone with some rows of its token embedding, and of an output layer of its own where it has one.

    Args:
        backbone: is left as it is.
        rows: (new vocabulary,) the old row of each new one.
    """
    key = vocabulary_key(backbone)
    embedding = backbone.token_embedding
    axes = {embedding.embeddings.path: 0}
    output = getattr(embedding, "reverse_embeddings", None)
    if output is not None:  # (hidden, vocabulary)
        axes[output.path] = 1

    def change(path: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return np.take(value, rows, axes[path]) if path in axes else value

    return resized(backbone, change, **{key: len(rows)})


def vocabulary_key(backbone: keras.Model) -> str:
    """The argument of a backbone's constructor that is the number of its tokens; ELECTRA calls it otherwise."""
    return "vocab_size" if "vocab_size" in backbone.get_config() else "vocabulary_size"
