"""A function of texts that is traced once, whoever calls it in however many graphs."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import tensorflow as tf

Result = TypeVar("Result")
_spent = [0.0]  # seconds of this process


TEXTS = tf.TensorSpec([None], tf.string)


def traced_once(function: Callable[..., Result], *signature: Any) -> Callable[..., Result]:
    """The same function, tensors -> tensors of any structure, with one graph of its own.

    A tokenizer is a graph of hundreds of operations, which take a second to trace: longer than it takes to tokenize a
    small data set. Each split, the count of tokens, the servable and its check call it.

    A plain function is returned, since a `tf.function` among a module's attributes would be written into every
    SavedModel of it once more, by itself.

    Args:
        function: what is traced.
        signature: shapes and types of each argument; none: (batch,) strings.
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


class Kept:
    """What was made last in this process, by what it is made of.

    Args:
        most: so many are kept.
    """

    def __init__(self, most: int):
        self._most, self._changing = most, threading.Lock()
        self._made: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, made_of: Hashable, make: Callable[[], Result]) -> Result:
        """What was made of this before, or what `make` makes now. Two threads may both make one."""
        made = self._made.get(made_of)
        if made is None:
            made = make()
        with self._changing:
            self._made[made_of] = made
            self._made.move_to_end(made_of)
            while len(self._made) > self._most:
                self._made.popitem(last=False)
        return made


_traces = Kept(most=32)


def kept_trace(made_of: Hashable, function: Callable[..., Result], *signature: Any) -> Callable[..., Result]:
    """`traced_once` for all functions that are made of the same: a run reads its texts as the run before did.

    Args:
        made_of: everything that the function's result depends on, but its arguments.
        function: what is traced, if none of these is kept yet.
        signature: as of `traced_once`.
    """
    return _traces.get(made_of, lambda: traced_once(function, *signature))


def graph_seconds() -> float:
    """Seconds that this process has spent on building such graphs, so that a program can say what it waited for."""
    return _spent[0]
