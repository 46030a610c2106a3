"""A method whose graph is made once for an object, however many graphs call it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def traced_once(method: Callable[[Any, tf.Tensor], Any]) -> Callable[[Any, tf.Tensor], Any]:
    """Decorates a method that maps (batch,) strings to tensors, in graph, by a state that does not change.

    The graph of a tokenizer takes a second or more to make. Each split, each signature of an export and each check of
    it would make the same one again; so they all call one function.
    """
    name = f"_traced_{method.__name__}"

    @functools.wraps(method)
    @tf.autograph.experimental.do_not_convert
    def call(self: Any, text: tf.Tensor) -> Any:
        traced = self.__dict__.get(name)
        if traced is None:
            signature = [tf.TensorSpec([None], tf.string)]
            function = tf.function(functools.partial(method, self), input_signature=signature, autograph=False)
            # Behind a plain function: an attribute that is a tf.function would be written into every SavedModel.
            traced = self.__dict__[name] = lambda text: function(text)
        return traced(text)

    return call
