"""The cheaper forms of layers give what Keras' own give: outputs, gradients, and dropout's law."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.kernels import library
from kerasft.training.layers.fused_layers import FORMS, KERNELS, NAMES, chosen_forms, fused_layers


def features_of(backbone: keras.Model) -> dict[str, tf.Tensor]:
    """Three rows of 9, 4 and 1 tokens."""
    ids = np.random.default_rng(0).integers(1, 20, (3, 9)).astype("int32")
    mask = np.arange(9) < np.array([[9], [4], [1]])
    known = {"token_ids": ids, "padding_mask": mask.astype("int32"), "segment_ids": np.zeros_like(ids)}
    return {name: tf.constant(known[name]) for name in backbone.input}


def without_dropout(model: keras.Model) -> keras.Model:
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model


def outputs_and_gradients(model: keras.Model, features, forms) -> tuple[np.ndarray, list[np.ndarray]]:
    """Of the tokens that are no padding; every output has a weight of its own in the loss."""

    @tf.function(autograph=False)
    def compute():
        with tf.GradientTape() as tape:
            with fused_layers(model, forms):
                outputs = model(features, training=True)
            sequence = outputs["sequence_output"] if isinstance(outputs, dict) else outputs
            kept = tf.boolean_mask(sequence, tf.cast(features["padding_mask"], bool))
            pooled = outputs["pooled_output"] if isinstance(outputs, dict) and "pooled_output" in outputs else 0.0
            loss = tf.reduce_sum(tf.sin(3.0 * kept)) + tf.reduce_sum(tf.sin(3.0 * pooled))
        gradients = tape.gradient(loss, model.trainable_variables)  # none of an output layer that is not used
        return kept, [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]

    kept, gradients = compute()
    return kept.numpy(), [gradient.numpy() for gradient in gradients]


def test_outputs_and_gradients_are_those_of_keras(family, make_backbone, kernels):
    agrees(make_backbone(family), NAMES)


@pytest.mark.parametrize("form", NAMES)
def test_each_form_alone(form, make_backbone, request):
    if form == KERNELS:
        request.getfixturevalue("kernels")
    agrees(make_backbone("bert"), [form])


def agrees(model: keras.Model, forms) -> None:
    without_dropout(model)
    for variable in model.trainable_variables:  # biases that are zero and scales that are one would hide mistakes
        variable.assign(variable + 0.3 * keras.random.normal(variable.shape, seed=1))
    features = features_of(model)
    outputs, gradients = outputs_and_gradients(model, features, ())
    fused_outputs, fused_gradients = outputs_and_gradients(model, features, forms)
    np.testing.assert_allclose(fused_outputs, outputs, atol=1e-5)
    assert len(fused_gradients) == len(gradients)
    for gradient, fused in zip(gradients, fused_gradients):
        scale = max(1.0, np.abs(gradient).max())
        np.testing.assert_allclose(fused / scale, gradient / scale, atol=1e-5)


def test_the_layers_of_an_encoder_are_found(make_backbone):
    model = make_backbone("bert")
    found = set()
    with fused_layers(model, FORMS):
        for layer in model._flatten_layers():
            found |= {name for name, forms in FORMS.items() if type(layer) in forms.values()}
    assert found == set(FORMS)


def test_the_layers_are_put_back_after_an_error(make_backbone, kernels):
    model = make_backbone("bert")
    before = [type(layer) for layer in model._flatten_layers()]
    with pytest.raises(KeyError), fused_layers(model, NAMES):
        raise KeyError
    assert [type(layer) for layer in model._flatten_layers()] == before


def test_gelu_and_other_activations_are_kept(kernels):
    layer = keras.layers.Dense(5, activation="gelu")
    values = tf.random.normal((2, 3, 4))
    expected = layer(values)
    with fused_layers(keras.Sequential([layer]), NAMES):
        np.testing.assert_allclose(layer(values), expected, atol=1e-6)


def test_low_rank_adapters_are_not_lost(kernels):
    layer = keras.layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")
    values = tf.random.normal((2, 3, 4))
    layer(values)
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(tf.ones_like(layer.lora_kernel_b))
    expected = layer(values)
    with fused_layers(keras.Sequential([layer]), NAMES):
        np.testing.assert_allclose(layer(values), expected, atol=1e-6)


class TestDropout:
    @staticmethod
    def dropped(rate: float, values: tf.Tensor, training: bool = True) -> np.ndarray:
        layer = keras.layers.Dropout(rate, seed=3)
        model = keras.Sequential([layer])
        with fused_layers(model, ("dropout",)):
            return model(values, training=training).numpy()

    @pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
    def test_as_many_are_dropped_as_were_asked_for(self, rate):
        result = self.dropped(rate, tf.ones((400, 1001)))
        assert np.mean(result == 0) == pytest.approx(rate, abs=1 / 256)
        assert result.mean() == pytest.approx(1.0, abs=0.02)
        assert len(np.unique(result)) == 2

    def test_neighbours_are_dropped_independently(self):
        zero = self.dropped(0.25, tf.ones((400, 1000))) == 0
        for distance in (1, 2, 4, 8):
            both = np.mean(zero[:, :-distance] & zero[:, distance:])
            assert both == pytest.approx(0.25**2, abs=0.003)

    def test_any_number_of_values(self):
        for count in range(1, 20):
            assert self.dropped(0.5, tf.ones((count,))).shape == (count,)

    def test_nothing_is_dropped_outside_training_or_at_rate_zero(self):
        values = tf.random.normal((5, 7))
        np.testing.assert_array_equal(self.dropped(0.5, values, training=False), values)
        np.testing.assert_array_equal(self.dropped(0.0, values), values)

    def test_each_call_draws_anew_and_the_same_state_draws_the_same(self):
        layer = keras.layers.Dropout(0.5, seed=3)
        model = keras.Sequential([layer])
        with fused_layers(model, ("dropout",)):
            state = layer.seed_generator.state.numpy()
            first, second = (model(tf.ones((50, 50)), training=True).numpy() for _ in range(2))
            layer.seed_generator.state.assign(state)
            again = model(tf.ones((50, 50)), training=True).numpy()
        assert np.any(first != second)
        np.testing.assert_array_equal(first, again)

    def test_the_gradient_passes_where_the_value_passed(self):
        layer = keras.layers.Dropout(0.5, seed=3)
        model = keras.Sequential([layer])
        values = tf.ones((9, 9))
        with tf.GradientTape() as tape, fused_layers(model, ("dropout",)):
            tape.watch(values)
            result = model(values, training=True)
        np.testing.assert_array_equal(tape.gradient(result, values), result)


def test_what_a_config_leaves_open_is_all_on_a_cpu(kernels):
    assert chosen_forms(None) == NAMES and chosen_forms([]) == () and chosen_forms(["dropout"]) == ("dropout",)


def test_without_a_compiler_there_are_the_other_forms_and_a_word_of_it(monkeypatch):
    def missing(say):
        raise library.Unavailable("no C++ compiler is installed")

    monkeypatch.setattr(library, "load", missing)
    said = []
    assert chosen_forms(None, said.append) == tuple(name for name in NAMES if name != KERNELS)
    assert len(said) == 1 and "no C++ compiler is installed" in said[0]
    with pytest.raises(UserError, match="training.fused: kernels can't be had, no C\\+\\+ compiler is installed"):
        chosen_forms([KERNELS])


def test_kernels_stay_in_the_process_that_has_them():
    assert KERNELS not in chosen_forms(None, here=False)
    with pytest.raises(UserError, match="training.fused: kernels are for CPUs"):
        chosen_forms([KERNELS], here=False)
