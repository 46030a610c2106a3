"""A function of texts that is traced once, whoever calls it in however many graphs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

Result = TypeVar("Result")
_spent = [0.0]  # seconds of this process


def traced_once(function: Callable[[tf.Tensor], Result]) -> Callable[[tf.Tensor], Result]:
    """The same function, (batch,) strings -> tensors of any structure, with one graph of its own.

    A tokenizer is a graph of hundreds of operations, which take a second to trace: longer than it takes to tokenize a
    small data set. Each split, the count of tokens, the servable and its check call it.

    A plain function is returned, since a `tf.function` among a module's attributes would be written into every
    SavedModel of it once more, by itself.
    """
    graph = tf.function(function, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    concrete: list[tf.types.experimental.ConcreteFunction] = []

    def call(text: tf.Tensor) -> Result:
        if not concrete:
            begun = time.monotonic()
            concrete.append(graph.get_concrete_function())
            _spent[0] += time.monotonic() - begun
        return graph(text)

    return call


def graph_seconds() -> float:
    """Seconds that this process has spent on building such graphs, so that a program can say what it waited for."""
    return _spent[0]
