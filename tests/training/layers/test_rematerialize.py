"""Layers that are computed again on the way back give the same update from less."""

import functools

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from support.families import BACKBONES
from support.rarely import rarely

from kerasft.models.blocks import transformer_blocks
from kerasft.training.layers.fused_layers import NAMES, fused_layers
from kerasft.training.layers.rematerialize import rematerialized

_SIDES = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16}
MODELS = BACKBONES | {
    "bart": lambda v: keras_hub.models.BartBackbone(vocabulary_size=v, max_sequence_length=32, **_SIDES),
    "t5": lambda v: keras_hub.models.T5Backbone(vocabulary_size=v, key_value_dim=4, **_SIDES),  # its layers give two
}
FAMILIES = ("bert", "distil_bert", "roberta", "gpt2", "albert", "deberta_v3", "llama3", "bart", "t5")
ALWAYS = ("deberta_v3", "llama3")  # and those with cheaper forms
CASES = [(family, ()) for family in ALWAYS] + [(family, NAMES) for family in ("bert", "gpt2", "t5")]
CASES += rarely(*((family, ()) for family in FAMILIES if family not in ALWAYS))


def two_steps(make, on: bool, forms=(), strategy=None, xla=False):
    """Losses, gradients and all variables, random states too, after two steps with dropout."""
    keras.utils.set_random_seed(1)
    strategy = strategy or tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        model = make()
    tokens = np.random.default_rng(0).integers(1, 30, (4, 8)).astype(np.int32)
    names = [tensor.name for tensor in model.inputs]
    features = {name: tf.constant(tokens if name.endswith("token_ids") else np.ones_like(tokens)) for name in names}
    features |= {"segment_ids": tf.zeros_like(tokens)} if "segment_ids" in names else {}

    def replica():
        with tf.GradientTape() as tape:
            outputs = model(features, training=True)
            if isinstance(outputs, dict):
                outputs = outputs.get("sequence_output", outputs.get("decoder_sequence_output"))
            weights = tf.reshape(tf.range(8.0), [1, 1, 8])
            loss = tf.reduce_sum(tf.square(outputs) * weights)
        gradients = tape.gradient(loss, model.trainable_variables)
        return loss, [tf.constant(0.0) if each is None else tf.convert_to_tensor(each) for each in gradients]

    @functools.partial(tf.function, jit_compile=xla)
    def step():
        with fused_layers(model, forms), rematerialized(transformer_blocks(model) if on else (), xla):
            return strategy.run(replica)

    local = strategy.experimental_local_results
    found = [tf.nest.map_structure(lambda value: [part.numpy() for part in local(value)], step()) for _ in range(2)]
    return tf.nest.flatten(found), [variable.numpy() for variable in model.variables]


@pytest.mark.parametrize(("family", "forms"), CASES)
def test_gradients_and_random_states_are_the_same_with_dropout(family, forms):
    plain, state = two_steps(lambda: MODELS[family](30), False, forms)
    again, state_again = two_steps(lambda: MODELS[family](30), True, forms)
    for one, other in zip(plain, again, strict=True):
        # T5's vectors are not normalised: its gradients are in the tens.
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=3e-6 * max(1, np.abs(one).max()))
    for one, other in zip(state, state_again, strict=True):
        np.testing.assert_array_equal(one, other)
    dropout = family not in ("albert", "llama3")  # which KerasHub makes without
    assert np.array_equal(plain[0], plain[len(plain) // 2]) != dropout  # the second step draws anew


def test_two_replicas(mirrored):
    plain, _ = two_steps(lambda: MODELS["bert"](30), False, NAMES, mirrored)
    again, _ = two_steps(lambda: MODELS["bert"](30), True, NAMES, mirrored)
    for one, other in zip(plain, again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.long
def test_compiled_by_xla_which_has_only_the_order_of_data():
    plain, state = two_steps(lambda: MODELS["bert"](30), False, xla=True)
    again, state_again = two_steps(lambda: MODELS["bert"](30), True, xla=True)
    for one, other in zip(plain + state, again + state_again, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_layers_are_themselves_again_even_after_an_error():
    model = MODELS["bert"](30)
    blocks = transformer_blocks(model)
    kinds = [type(block) for block in blocks]
    with pytest.raises(ValueError), rematerialized(blocks):
        assert [type(block) for block in blocks] != kinds
        raise ValueError
    assert [type(block) for block in blocks] == kinds
