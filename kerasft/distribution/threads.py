"""Threads of this process, for parts of a batch that are worked through side by side."""

from __future__ import annotations

import os

import tensorflow as tf


def share_threads(count: int) -> None:
    """Makes threads for so many parts at a time, where this process has not used TensorFlow before; later it can't."""
    # macOS does not say which cores a process may use
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count == 1 or cores == 1:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(max(1, cores // count))
        tf.config.threading.set_inter_op_parallelism_threads(max(count, cores))
    except RuntimeError:  # TensorFlow runs: its threads stay as they are, and results are the same
        return
