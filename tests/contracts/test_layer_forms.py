"""What every cheaper form must do with a layer that is not as KerasHub made it: give what the layer gives."""

import contextlib

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from kerasft.data.batching.pack_plan import Packing
from kerasft.errors import UserError
from kerasft.kernels import library
from kerasft.models.blocks import transformer_blocks
from kerasft.models.generation.held_weights import held_weights
from kerasft.models.heads.text_classifier import build_classifier
from kerasft.models.layer_classes import as_made
from kerasft.training.layers.first_token import last_layer_of_first_token
from kerasft.training.layers.fused_layers import KERNELS, NAMES, cheaper_forms, fused_layers
from kerasft.training.layers.kernel_layers import kernels_ready
from kerasft.training.layers.packed_layers import PackedLayers
from kerasft.training.layers.rematerialize import rematerialized

LENGTHS = np.array([9, 4, 1])


class Scaled(keras.layers.Layer):
    """Any layer, and what it gives times 1.5: a wrapper that has none of the layer's attributes."""

    def __init__(self, inner: keras.layers.Layer, **kwargs):
        super().__init__(**kwargs)
        self.inner, self.built = inner, True

    def call(self, *args, **kwargs):
        return 1.5 * self.inner(*args, **kwargs)


def put(layer: keras.layers.Layer, name: str, part: keras.layers.Layer) -> None:
    layer._tracker.unlock()
    setattr(layer, name, part)
    layer._tracker.lock()


def wrap(name: str):
    def change(backbone: keras.Model) -> None:
        for block in transformer_blocks(backbone):
            put(block, name, Scaled(getattr(block, name)))

    return change


def wrap_query(backbone: keras.Model) -> None:
    for block in transformer_blocks(backbone):
        put(block._self_attention_layer, "_query_dense", Scaled(block._self_attention_layer._query_dense))


def adapt(backbone: keras.Model) -> None:
    backbone.enable_lora(4)
    for layer in backbone._flatten_layers():
        if getattr(layer, "lora_enabled", False):
            layer.lora_kernel_b.assign(0.3 * keras.random.normal(layer.lora_kernel_b.shape, seed=2))


CHANGES = {
    "feed-forward wrapped": wrap("_feedforward_intermediate_dense"),
    "output wrapped": wrap("_feedforward_output_dense"),
    "attention wrapped": wrap("_self_attention_layer"),
    "query wrapped": wrap_query,
    "LoRA": adapt,
}


@pytest.fixture(params=CHANGES)
def changed(request, tiny_bert) -> keras.Model:
    """A classifier whose transformer layers are not KerasHub's any more."""
    backbone = tiny_bert()
    for variable in backbone.trainable_variables:  # biases that are zero would hide mistakes
        variable.assign(variable + 0.3 * keras.random.normal(variable.shape, seed=1))
    CHANGES[request.param](backbone)
    return build_classifier(backbone, 3, pooling="cls")


def features(model: keras.Model) -> dict[str, tf.Tensor]:
    ids = np.random.default_rng(0).integers(1, 20, (3, 9)).astype("int32")
    mask = (np.arange(9) < LENGTHS[:, None]).astype("int32")
    known = {"token_ids": ids * mask, "padding_mask": mask, "segment_ids": np.zeros_like(ids)}
    return {name: tf.constant(known[name]) for name in model.input}


def learnt(model: keras.Model, scope, inputs=None) -> list[np.ndarray]:
    """Logits and gradients; `scope` gives the context in which the model is called."""

    @tf.function(autograph=False)
    def compute():
        with tf.GradientTape() as tape, scope() as given:
            logits = model(given or inputs or features(model), training=True)
            loss = tf.reduce_sum(tf.sin(3.0 * logits))
        return [logits, *(found for found in tape.gradient(loss, model.trainable_variables) if found is not None)]

    return [tf.convert_to_tensor(tensor).numpy() for tensor in compute()]


def assert_same(mine: list[np.ndarray], plain: list[np.ndarray]) -> None:
    assert len(mine) == len(plain)
    for one, other in zip(mine, plain):
        scale = max(1.0, np.abs(other).max())
        np.testing.assert_allclose(one / scale, other / scale, atol=2e-5)


@contextlib.contextmanager
def in_forms(model: keras.Model, forms):
    """As a step has them: kernels are made ready for the layers that read them."""
    with fused_layers(model, forms), kernels_ready(model):
        yield


def available() -> tuple[str, ...]:
    try:
        library.load()
    except library.Unavailable:
        return tuple(name for name in NAMES if name != KERNELS)
    return NAMES


def test_every_form_leaves_what_was_changed_to_the_layers_themselves(changed):
    plain = learnt(changed, lambda: fused_layers(changed, ()))
    assert not any(as_made(block) for block in changed.layers if type(block) is keras_hub.layers.TransformerEncoder)
    assert not last_layer_of_first_token(changed)
    for forms in ([KERNELS], NAMES):
        forms = [name for name in forms if name in available()]
        assert_same(learnt(changed, lambda forms=forms: in_forms(changed, forms)), plain)


def test_a_changed_layer_that_is_computed_again_gives_the_same(changed):
    blocks = [layer for layer in changed.layers if type(layer) is keras_hub.layers.TransformerEncoder]
    plain = learnt(changed, lambda: fused_layers(changed, ()))
    assert_same(learnt(changed, lambda: rematerialized(blocks)), plain)


def test_rows_are_packed_where_attention_is_kerashubs_own(changed):
    blocks = [layer for layer in changed.layers if type(layer) is keras_hub.layers.TransformerEncoder]
    if isinstance(blocks[0]._self_attention_layer, Scaled):
        with pytest.raises(UserError, match="data.batching: pack does not know"):
            PackedLayers(changed)
        return
    plain, packed = learnt(changed, lambda: fused_layers(changed, ())), PackedLayers(changed)
    plan = Packing(LENGTHS[:, None]).plan(np.arange(3), 1)
    batch = features(changed) | {name: tf.constant(value) for name, value in plan.items()}
    with packed.installed():
        assert_same(learnt(changed, lambda: packed.rows_of(batch)), plain)


def test_weights_held_in_bfloat16_are_those_of_layers_as_they_were_made(changed):
    plain = changed(features(changed))
    with held_weights(changed):
        held = changed(features(changed))
    np.testing.assert_allclose(held, plain, atol=0.05 * float(np.abs(plain).max()))


def test_the_guard_tells_a_layer_that_nothing_was_done_to(tiny_bert):
    model = build_classifier(tiny_bert(), 3, pooling="cls")
    blocks = [layer for layer in model.layers if type(layer) is keras_hub.layers.TransformerEncoder]
    assert all(as_made(block) for block in blocks) and last_layer_of_first_token(model) == [blocks[-1]]
    with fused_layers(model, available()):
        assert all(as_made(block) for block in blocks)  # whatever form it has
    assert cheaper_forms(model, ()) == []
    blocks[0]._feedforward_intermediate_dense.call = lambda inputs: inputs
    assert not as_made(blocks[0]) and as_made(blocks[1])
