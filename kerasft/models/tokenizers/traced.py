"""A function of texts that is traced once, whoever calls it in however many graphs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

Result = TypeVar("Result")
_spent = [0.0]  # seconds of this process


TEXTS = tf.TensorSpec([None], tf.string)


def traced_once(function: Callable[..., Result], *signature: tf.TensorSpec) -> Callable[..., Result]:
    """The same function, tensors -> tensors of any structure, with one graph of its own.

    A tokenizer is a graph of hundreds of operations, which take a second to trace: longer than it takes to tokenize a
    small data set. Each split, the count of tokens, the servable and its check call it.

    A plain function is returned, since a `tf.function` among a module's attributes would be written into every
    SavedModel of it once more, by itself.

    Args:
        function: what is traced.
        signature: shape and type of each argument; none: (batch,) strings.
    """
    graph = tf.function(function, input_signature=signature or [TEXTS], autograph=False)
    concrete: list[tf.types.experimental.ConcreteFunction] = []

    def call(*tensors: tf.Tensor) -> Result:
        if not concrete:
            start, before = time.monotonic(), _spent[0]
            concrete.append(graph.get_concrete_function())
            _spent[0] = before + time.monotonic() - start  # a graph inside this one is in its seconds already
        return graph(*tensors)

    return call


def graph_seconds() -> float:
    """Seconds that this process has spent on building such graphs, so that a program can say what it waited for."""
    return _spent[0]
