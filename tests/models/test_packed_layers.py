"""Transformer layers on packed rows give what they give on rows of their own: outputs and gradients of each family."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.rarely import rarely
from tiny_bart import make_bart

from kerasft.data.batching.pack_plan import OFFSET, ROW, Packing, RowShape
from kerasft.errors import UserError
from kerasft.models.blocks import transformer_blocks
from kerasft.training.layers.fused_layers import NAMES as FUSED
from kerasft.training.layers.fused_layers import fused_layers
from kerasft.training.layers.packed_layers import FORMS, PackedLayers
from kerasft.training.layers.rematerialize import rematerialized

LENGTHS = np.array([9, 4, 1, 7, 2, 3, 5])
KNOWN = ("bert", "distil_bert", "electra", "roberta", "gpt2", "albert", "deberta_v3", "xlm_roberta")


def features_of(backbone: keras.Model, shape: RowShape | None) -> dict[str, tf.Tensor]:
    """Texts of the lengths above and one that only fills the batch up, with their plan."""
    rows = np.append(np.arange(len(LENGTHS)), -1)
    random = np.random.default_rng(0)
    mask = np.arange(12) < np.append(LENGTHS, 6)[:, None]
    ids = random.integers(1, 20, mask.shape)
    known = {"token_ids": ids * mask, "padding_mask": mask, "segment_ids": (ids > 9) & mask}
    features = {name: tf.constant(known[name], tf.int32) for name in backbone.input}
    plan = Packing(LENGTHS[:, None], shape).plan(rows, 1)
    assert plan[ROW].max() < 5  # some do share
    return features | {name: tf.constant(value) for name, value in plan.items()}


def outputs_and_gradients(
    model: keras.Model, features, packed=None, forms=(), recomputed=()
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Of the tokens of the texts that count; every output has a weight of its own in the loss."""

    @tf.function(autograph=False)
    def compute():
        if packed is None:
            return of_inputs({name: features[name] for name in model.input})
        with packed.installed(), packed.rows_of(features) as inputs, fused_layers(model, forms):
            with rematerialized(recomputed):
                return of_inputs(inputs)

    def of_inputs(plain):
        with tf.GradientTape() as tape:
            outputs = model(plain, training=True)
            sequence = outputs["sequence_output"] if isinstance(outputs, dict) else outputs
            kept = tf.boolean_mask(sequence[:-1], tf.cast(plain["padding_mask"], bool)[:-1])
            pooled = outputs["pooled_output"][:-1] if isinstance(outputs, dict) and "pooled_output" in outputs else 0.0
            loss = tf.reduce_sum(tf.sin(3.0 * kept)) + tf.reduce_sum(tf.sin(3.0 * pooled))
        gradients = tape.gradient(loss, model.trainable_variables)  # none of an output layer that is not used
        return kept, [tf.convert_to_tensor(gradient) for gradient in gradients if gradient is not None]

    kept, gradients = compute()
    return kept.numpy(), [gradient.numpy() for gradient in gradients]


ALIKE = ("distil_bert", "electra", "roberta", "xlm_roberta")  # to a BERT


@pytest.fixture(params=[*(name for name in KNOWN if name not in ALIKE), *rarely(*ALIKE)])
def model(request, make_backbone) -> keras.Model:
    """A random backbone of each family that can, without dropout, and with biases and scales that hide no mistake."""
    made = make_backbone(request.param)
    for layer in made._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    for variable in made.trainable_variables:
        variable.assign(variable + 0.3 * keras.random.normal(variable.shape, seed=1))
    return made


def test_outputs_and_gradients_are_those_of_rows_of_their_own(model):
    outputs, gradients = outputs_and_gradients(model, features_of(model, None))
    blocks = transformer_blocks(model)
    for shape, forms, recomputed in ((None, (), blocks), (RowShape(rows=6, length=16), FUSED, ())):
        packed, packed_features = PackedLayers(model, shape), features_of(model, shape)
        packed_outputs, packed_gradients = outputs_and_gradients(model, packed_features, packed, forms, recomputed)
        np.testing.assert_allclose(packed_outputs, outputs, atol=1e-5)
        assert len(packed_gradients) == len(gradients)
        for gradient, other in zip(gradients, packed_gradients):
            scale = max(1.0, np.abs(gradient).max())
            np.testing.assert_allclose(other / scale, gradient / scale, atol=1e-5)


def test_layers_are_keras_own_again_afterwards_and_plain_without_a_plan(make_backbone):
    model = make_backbone("bert")
    packed, before = PackedLayers(model), [type(layer) for layer in model._flatten_layers()]
    features = {name: value for name, value in features_of(model, None).items() if name in model.input}
    expected = model(features)["sequence_output"]
    with packed.installed():
        assert sum(type(layer) in FORMS.values() for layer in model._flatten_layers()) == 3
        np.testing.assert_array_equal(model(features)["sequence_output"], expected)
    with pytest.raises(KeyError), packed.installed():
        raise KeyError
    assert [type(layer) for layer in model._flatten_layers()] == before


def test_what_only_fills_a_batch_up_takes_no_room_and_has_finite_vectors(make_backbone):
    model = make_backbone("bert")
    features = features_of(model, None)
    assert features[ROW][-1] == -1
    packed = PackedLayers(model)
    with packed.installed(), packed.rows_of(features) as inputs:
        found = model(inputs, training=False)["sequence_output"]
    np.testing.assert_array_equal(found[-1], np.zeros_like(found[-1]))
    nothing = {name: value[:1] for name, value in features.items()} | {ROW: tf.constant([-1]), OFFSET: tf.constant([0])}
    with packed.installed(), packed.rows_of(nothing) as inputs:
        assert np.isfinite(model(inputs, training=False)["pooled_output"]).all()


def test_layers_that_it_was_not_made_for_are_refused(make_backbone):
    with pytest.raises(UserError, match="data.batching: pack does not know .*LlamaTransformerDecoder.*use bucket"):
        PackedLayers(make_backbone("llama3"))
    with pytest.raises(UserError, match="data.batching: pack does not know .*TransformerDecoder, TransformerEncoder"):
        PackedLayers(make_bart()[0])  # whose decoder reads a second text
    with pytest.raises(UserError, match="data.batching: pack does not know"):
        inputs = keras.Input((4,))
        PackedLayers(keras.Model(inputs, keras.layers.Dense(2)(inputs)))
