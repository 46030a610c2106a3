"""bfloat16 matrix products over float32 weights, the way each device does them best."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

_REWRITE = "auto_mixed_precision_onednn_bfloat16"


def layer_policy(precision: str) -> str:
    """The Keras dtype policy of a model's layers for `training.precision`.

    On a CPU layers stay float32 and TensorFlow rewrites the graph of the step (`bfloat16_products`): what is not a
    matrix product, such as normalisation and the sums of residuals, keeps its precision and is no slower for it.
    """
    return "float32" if rewrites(precision) else precision


def rewrites(precision: str) -> bool:
    """Whether the step's graph is rewritten."""
    return precision == "mixed_bfloat16" and not on_accelerator()


@contextlib.contextmanager
def bfloat16_products(active: bool) -> Iterator[None]:
    """Graphs that are called inside have their matrix products in bfloat16, by oneDNN; those outside do not."""
    if not active:
        yield
        return
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({_REWRITE: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_REWRITE: before.get(_REWRITE, False)})


def product_type() -> tf.DType:
    """What the matrix products of a graph that is traced now are in, for what casts by itself."""
    rewritten = tf.config.optimizer.get_experimental_options().get(_REWRITE, False)
    return tf.bfloat16 if rewritten else tf.float32


def on_accelerator() -> bool:
    """Whether TensorFlow sees a GPU or a TPU, be it on another machine that this process drives."""
    return any(device.device_type in ("GPU", "TPU") for device in tf.config.list_logical_devices())
