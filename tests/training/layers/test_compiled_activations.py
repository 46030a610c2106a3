"""Activations compiled by XLA give what those of Keras give, forward and back, whatever the shape."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_hub.src.utils.keras_utils import gelu_approximate

from kerasft.training.layers.compiled_activations import compiled, compiled_activations


@pytest.mark.parametrize("activation", [keras.activations.gelu, gelu_approximate, keras.activations.silu])
def test_values_and_gradients_are_those_of_keras(activation):
    for shape in ((3, 5, 7), (2, 5, 7)):
        values = tf.constant(np.random.default_rng(0).normal(scale=3.0, size=shape), tf.float32)
        for mine, plain in zip(with_gradient(compiled(activation), values), with_gradient(activation, values)):
            np.testing.assert_allclose(mine, plain, atol=2e-6)


def with_gradient(form, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    @tf.function(autograph=False)
    def both():
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = form(values)
        return outputs, tape.gradient(outputs, values, tf.cos(values))

    return both()


def test_layers_with_the_same_activation_share_what_is_compiled():
    assert compiled(keras.activations.gelu) is compiled(keras.activations.gelu)


def test_only_activations_of_many_operations_are_replaced_and_put_back_after_an_error():
    activations = (keras.activations.gelu, keras.activations.tanh, keras.activations.linear)
    model = keras.Sequential([keras.layers.Dense(2, activation=activation) for activation in activations])
    model.build((None, 2))

    def found():
        return tuple(layer.activation for layer in model.layers)

    with pytest.raises(KeyError), compiled_activations(model):
        assert found() == (compiled(keras.activations.gelu), *activations[1:])
        raise KeyError
    assert found() == activations
