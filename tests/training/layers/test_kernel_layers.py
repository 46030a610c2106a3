"""Encoder layers on kernels: which they take over, and in bfloat16 what oneDNN's rewrite of the same layers gives."""

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from kerasft.kernels import library, operations
from kerasft.training.layers import kernel_layers, kernel_products
from kerasft.training.layers.fused_layers import KERNELS, fused_layers
from kerasft.training.layers.precision import bfloat16_products

try:
    library.load()
except library.Unavailable as reason:
    pytest.skip(f"no kernels: {reason}", allow_module_level=True)


def make_model(dropout: float = 0.0, **settings) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs, mask = keras.Input((None, 32)), keras.Input((None,), dtype="int32")
    layer = keras_hub.layers.TransformerEncoder(64, 4, dropout=dropout, activation="gelu", **settings)
    model = keras.Model([inputs, mask], layer(inputs, padding_mask=mask))
    for variable in model.trainable_variables:
        variable.assign(variable + 0.1 * keras.random.normal(variable.shape, seed=1))
    return model


def outputs_and_gradients(model: keras.Model, forms, bfloat16: bool) -> list[np.ndarray]:
    """Of two rows, one of them with padding."""
    values = tf.random.stateless_normal((2, 7, 32), [1, 2])
    mask = tf.constant([[1] * 7, [1] * 4 + [0] * 3])

    @tf.function(autograph=False)
    def compute():
        with fused_layers(model, forms), kernel_layers.kernels_ready(model), tf.GradientTape() as tape:
            tape.watch(values)
            outputs = tf.boolean_mask(model([values, mask], training=True), tf.cast(mask, bool))
            loss = tf.reduce_sum(tf.sin(outputs))
        return [outputs, *tape.gradient(loss, [values, *model.trainable_variables])]

    with bfloat16_products(bfloat16):
        return [value.numpy() for value in compute()]


@pytest.mark.parametrize("own_products", [True, False])
def test_in_bfloat16_it_is_as_near_to_float32_as_the_rewrite(own_products, monkeypatch):
    if not own_products:
        monkeypatch.setattr(operations, "has_products", lambda: False)  # as with AMX
    model = make_model()
    exact = outputs_and_gradients(model, (), False)
    rewritten, ours = (outputs_and_gradients(model, forms, True) for forms in ((), (KERNELS,)))
    for true, other, found in zip(exact, rewritten, ours):
        scale = max(1e-3, np.abs(true).max())
        distance, allowed = np.abs(found - true).max() / scale, np.abs(other - true).max() / scale
        assert distance <= 2 * allowed + 4e-3
        assert distance > 0 or not true.any()  # rounded: it does run in bfloat16


def test_gradients_of_kernels_that_are_made_together_are_those_of_each_part():
    if not operations.has_products():
        pytest.skip("this processor's products are oneDNN's")
    model = make_model()
    parts = [tf.random.stateless_normal((rows, 7, 32), [rows, 2]) for rows in (2, 3)]
    kept = {id(v): i for i, v in enumerate(model.trainable_variables)}

    @tf.function(autograph=False)
    def compute(together):
        with fused_layers(model, (KERNELS,)), kernel_layers.kernels_ready(model):
            sums = [tf.zeros(v.shape) for v in model.trainable_variables]
            with kernel_products.kernels_together(together) as made:
                for part in parts:
                    with tf.GradientTape() as tape:
                        outputs = model([part, tf.ones(part.shape[:2], tf.int32)], training=True)
                        loss = tf.reduce_sum(tf.sin(outputs))
                    found = tape.gradient(loss, model.trainable_variables)
                    sums = [total if new is None else total + new for total, new in zip(sums, found)]
            for key, gradient in made.gradients().items():
                sums[kept[key]] += gradient
        return sums

    with bfloat16_products(True):
        for one, other in zip(compute(True), compute(False)):
            scale = np.abs(other).max()
            np.testing.assert_allclose(one / scale, other / scale, atol=1e-2)
            assert scale > 0


def test_dropout_drops_and_differs_from_step_to_step():
    model = make_model(dropout=0.5)
    first, second = (outputs_and_gradients(model, (KERNELS,), False)[0] for _ in range(2))
    assert np.abs(first - second).max() > 0.1


@pytest.mark.parametrize("change", ["normalize_first", "low_rank"])
def test_other_layers_are_left_to_their_parents(change, monkeypatch):
    model = make_model(normalize_first=change == "normalize_first")
    encoder = model.layers[-1]
    if change == "low_rank":
        dense = encoder._feedforward_intermediate_dense
        dense.enable_lora(2)
        dense.lora_kernel_b.assign(tf.ones_like(dense.lora_kernel_b))
    expected = outputs_and_gradients(model, (), False)
    monkeypatch.setattr(kernel_layers, "joined", None)  # would be an error if it were called
    found = outputs_and_gradients(model, (KERNELS,), False)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_gelu_is_told_by_its_values():
    gelu = keras.activations.gelu
    assert kernel_layers.gelu_of(gelu) is False
    assert kernel_layers.gelu_of(lambda x: gelu(x, approximate=True)) is True
    for other in (keras.activations.relu, keras.activations.silu, keras.activations.linear, lambda x: gelu(1.01 * x)):
        assert kernel_layers.gelu_of(other) is None
