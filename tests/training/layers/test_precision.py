"""On a CPU, mixed_bfloat16 rounds what goes into matrix products inside the step, and nothing else."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.models.dtype_policy import dtype_policy
from kerasft.training.layers.precision import bfloat16_products, layer_policy, rewrites

HAS_BFLOAT16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text() or "amx_bf16" in Path("/proc/cpuinfo").read_text()
FINE = 1.0 + 2.0**-12  # bfloat16 has 8 bits: it would be 1


def product():
    @tf.function
    def compute(one, other):
        return tf.linalg.matmul(one, other)

    return compute, tf.fill((64, 64), FINE), tf.eye(64)


@pytest.mark.skipif(not HAS_BFLOAT16, reason="this CPU multiplies no bfloat16: TensorFlow leaves the graph as it is")
def test_products_are_rounded_inside_and_only_there():
    compute, one, other = product()
    with bfloat16_products(True):
        assert float(compute(one, other)[0, 0]) == 1.0
    assert float(compute(one, other)[0, 0]) == FINE


def test_nothing_is_rounded_where_it_is_not_asked_for():
    compute, one, other = product()
    with bfloat16_products(False):
        np.testing.assert_array_equal(compute(one, other), one)


def test_layers_stay_float32_on_a_cpu():
    assert layer_policy("mixed_bfloat16") == "float32" and rewrites("mixed_bfloat16") and not rewrites("float32")


def test_the_policy_is_put_back():
    before = keras.config.dtype_policy()
    with dtype_policy("mixed_bfloat16"):
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
    assert keras.config.dtype_policy() == before
