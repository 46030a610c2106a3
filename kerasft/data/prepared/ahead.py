"""Results of a function for one batch after the other, made by threads ahead of whoever takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import tensorflow as tf

Batch = TypeVar("Batch")
THREADS = 2
WAITING = 2 * THREADS  # batches that are begun and not taken yet


def made_ahead(function: Callable[[Batch], Any], batches: Iterable[Batch]) -> Iterator[Any]:
    """One result a batch, in their order, its tensors as arrays.

    A pipeline of tf.data would do the same, and would build and optimize its graphs anew for each split; a function
    that is traced already is only called.

    Args:
        function: a batch -> tensors, in any structure; threads call it at the same time, on the CPU.
        batches: read by the caller's thread.
    """

    def make(batch: Batch) -> Any:
        with tf.device("CPU"):
            return tf.nest.map_structure(lambda tensor: tensor.numpy(), function(batch))

    with ThreadPoolExecutor(THREADS) as threads:
        begun: deque[Future[Any]] = deque()
        for batch in batches:
            begun.append(threads.submit(make, batch))
            if len(begun) > WAITING:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
