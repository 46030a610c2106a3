"""A classifier by its first token gives and learns the same when its last layer computes that token alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.families import BACKBONES

from kerasft.models.heads.text_classifier import build_classifier
from kerasft.training.layers.first_token import last_layer_of_first_token
from kerasft.training.layers.fused_layers import NAMES, fused_layers


def learnt(model: keras.Model, forms) -> list[np.ndarray]:
    """Logits of three rows of 9, 4 and 1 tokens, and the gradient of each weight."""
    ids = np.random.default_rng(0).integers(1, 20, (3, 9)).astype("int32")
    mask = (np.arange(9) < np.array([[9], [4], [1]])).astype("int32")
    known = {"token_ids": ids, "padding_mask": mask, "segment_ids": np.zeros_like(ids)}
    features = {name: tf.constant(known[name]) for name in model.input}

    @tf.function(autograph=False)
    def compute():
        with tf.GradientTape() as tape:
            with fused_layers(model, forms):
                logits = model(features, training=True)
            loss = tf.reduce_sum(tf.sin(3.0 * logits))
        gradients = tape.gradient(loss, model.trainable_variables)
        return [logits, *(tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None)]

    return [tensor.numpy() for tensor in compute()]


@pytest.mark.parametrize("name", ["bert", "roberta", "distil_bert"])
def test_logits_and_gradients_are_those_of_the_whole_layer(name):
    model = build_classifier(BACKBONES[name](30), 3)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    for variable in model.trainable_variables:  # biases that are zero would hide mistakes
        variable.assign(variable + 0.3 * keras.random.normal(variable.shape, seed=1))
    assert len(last_layer_of_first_token(model)) == 1
    plain = learnt(model, ())
    for forms in (["first_token"], NAMES):
        mine = learnt(model, forms)
        assert len(mine) == len(plain)
        for one, other in zip(mine, plain):
            scale = max(1.0, np.abs(other).max())
            np.testing.assert_allclose(one / scale, other / scale, atol=1e-5)


def test_a_model_that_reads_other_tokens_keeps_its_layers():
    assert not last_layer_of_first_token(build_classifier(BACKBONES["bert"](30), 3, pooling="mean"))
    assert not last_layer_of_first_token(BACKBONES["bert"](30))
    assert not last_layer_of_first_token(build_classifier(BACKBONES["gpt2"](30), 3))
    assert not last_layer_of_first_token(build_classifier(BACKBONES["albert"](30), 3))


def test_the_layer_is_put_back():
    model = build_classifier(BACKBONES["bert"](30), 3)
    (layer,) = last_layer_of_first_token(model)
    before = type(layer)
    with fused_layers(model, ["first_token"]):
        assert type(layer) is not before
    assert type(layer) is before
