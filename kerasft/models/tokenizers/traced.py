"""A function of texts that is traced once, whoever calls it in however many graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

Result = TypeVar("Result")


def traced_once(function: Callable[[tf.Tensor], Result]) -> Callable[[tf.Tensor], Result]:
    """The same function, (batch,) strings -> tensors of any structure, with one graph of its own.

    A tokenizer is a graph of hundreds of operations, which take a second to trace: longer than it takes to tokenize a
    small data set. Each split, the count of tokens, the servable and its check call it.

    A plain function is returned, since a `tf.function` among a module's attributes would be written into every
    SavedModel of it once more, by itself.
    """
    call = tf.function(function, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    return lambda text: call(text)
