"""Layers that have other classes for a while."""

import keras
import pytest

from kerasft.models.layer_classes import as_classes


class Doubled(keras.layers.Dense):
    def call(self, inputs, training=None):
        return 2 * super().call(inputs)


def test_layers_are_of_their_own_class_again_even_after_an_error():
    layer, other = keras.layers.Dense(2), keras.layers.Dense(2)
    inputs = keras.ops.ones((1, 3))
    once = layer(inputs)
    with as_classes([(layer, Doubled)]):
        assert (type(layer), type(other)) == (Doubled, keras.layers.Dense)
        assert keras.ops.all(layer(inputs) == 2 * once)
        with as_classes([(layer, keras.layers.Dense), (other, Doubled)]):
            assert keras.ops.all(layer(inputs) == once)
        assert (type(layer), type(other)) == (Doubled, keras.layers.Dense)
    assert type(layer) is keras.layers.Dense
    with pytest.raises(KeyError), as_classes([(layer, Doubled)]):
        raise KeyError
    assert type(layer) is keras.layers.Dense
