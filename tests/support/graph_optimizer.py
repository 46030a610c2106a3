"""TensorFlow's optimizer of graphs, which takes a tenth of the time of a tiny training for no gain."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

OFF = "disable_meta_optimizer"
BFLOAT16 = "auto_mixed_precision_onednn_bfloat16"

_set = tf.config.optimizer.set_experimental_options


def leave_graphs_as_they_are() -> None:
    """From now on graphs run as they were traced in this process, but for products in bfloat16: it makes those."""
    _set({OFF: True})

    def set_options(options: dict[str, Any]) -> None:
        _set(({OFF: not options[BFLOAT16]} if BFLOAT16 in options else {}) | options)

    tf.config.optimizer.set_experimental_options = set_options


@contextlib.contextmanager
def optimized_graphs() -> Iterator[None]:
    """Graphs as programs run them, for runs that are to have the bits of another process."""
    _set({OFF: False})
    try:
        yield
    finally:
        _set({OFF: True})
