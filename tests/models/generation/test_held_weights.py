"""Products of held weights: cast before, within the digits of bfloat16, and not in the loop; or in 4 bits, exactly."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from support.decoders import MAKERS, strengthened

from kerasft.kernels import library
from kerasft.models.generation.cached_decoder import next_token_logits, read_prompt, read_token
from kerasft.models.generation.four_bit_weights import four_bit_weights
from kerasft.models.generation.generator import Generator
from kerasft.models.generation.held_weights import held_weights, may_be_held, summed_axes
from kerasft.models.presets.four_bits import nearest
from kerasft.models.presets.narrow_weights import digest, narrow_preset, stored_bits, widened


@pytest.fixture(params=MAKERS)
def backbone(request):
    return strengthened(MAKERS[request.param]())


def logits_of(backbone, held: bool) -> np.ndarray:
    @tf.function(autograph=False)
    def logits(ids):
        hidden, cache = read_prompt(backbone, ids[:, :6], tf.constant(9))
        with held_weights(backbone) if held else contextlib.nullcontext():
            hidden, _ = read_token(backbone, ids[:, 6], tf.fill([3], 6), cache)
            return next_token_logits(backbone, hidden)

    return logits(tf.constant(np.random.default_rng(1).integers(0, 50, (3, 7)), tf.int32)).numpy()


def test_logits_are_those_of_float32_within_bfloat16(backbone):
    exact, found = logits_of(backbone, False), logits_of(backbone, True)
    assert 0 < np.abs(found - exact).max() < 0.05 * exact.std()
    np.testing.assert_array_equal(logits_of(backbone, False), exact)  # the layers are their own again


def test_every_kernel_of_the_loop_is_cast_before_it(backbone):
    generator = Generator.__new__(Generator)
    generator.bfloat16 = True
    ids = tf.zeros([2, 4], tf.int32)

    @tf.function(autograph=False)
    def loop(ids):
        _, cache = read_prompt(backbone, ids, tf.constant(9))
        with held_weights(backbone):

            def body(step, cache):
                hidden, cache = read_token(backbone, ids[:, 0], tf.fill([2], step), cache)
                return step + tf.argmax(next_token_logits(backbone, hidden)[0], output_type=tf.int32) * 0 + 1, cache

            return tf.while_loop(lambda step, _: step < 6, body, (4, generator._in_product_type(cache)))[0]

    graph = loop.get_concrete_function(ids).graph.as_graph_def()
    (inside,) = [f for f in graph.library.function if "while_body" in f.signature.name]
    # rotary angles, an Einsum of no weights, stay as they are
    kinds = [node.op for node in inside.node_def]
    assert "InplaceUpdate" in kinds and "TensorScatterUpdate" not in kinds
    products = [node for node in inside.node_def if node.op in ("MatMul", "BatchMatMulV2")]
    assert products and {node.attr["T"].type for node in products} == {tf.bfloat16.as_datatype_enum}


def test_four_bits_give_what_the_weights_that_they_stand_for_give(backbone, tmp_path):
    kernels()
    file = stored(backbone, tmp_path)
    weights, _ = four_bit_weights(backbone, stored_bits(file))
    ids = tf.constant(np.random.default_rng(1).integers(0, 50, (3, 7)), tf.int32)

    @tf.function(autograph=False)
    def logits(held):
        hidden, cache = read_prompt(backbone, ids[:, :6], tf.constant(9))
        with held_weights(backbone, weights) if held else contextlib.nullcontext():
            hidden, _ = read_token(backbone, ids[:, 6], tf.fill([3], 6), cache)
            return next_token_logits(backbone, hidden)

    exact = logits(False).numpy()
    np.testing.assert_allclose(logits(True), exact, atol=1e-5 * np.abs(exact).max())
    products = {node.op for node in logits.get_concrete_function(True).graph.as_graph_def().node}
    assert "KerasftFourBitProduct" in products
    blocks = [layer for layer in backbone._flatten_layers() if may_be_held(layer) and hasattr(layer, "kernel")]
    assert len(weights) >= len(blocks) > 0  # each kernel, and a table where it is wide enough


def test_a_weight_that_changed_since_is_not_taken_for_the_stored_one(backbone, tmp_path):
    kernels()
    file = stored(backbone, tmp_path)
    (changed, *_) = (layer for layer in backbone._flatten_layers() if may_be_held(layer) and hasattr(layer, "kernel"))
    before, _ = four_bit_weights(backbone, stored_bits(file))
    changed.kernel.assign(changed.kernel * 1.5)
    now, others = four_bit_weights(backbone, stored_bits(file))
    assert before.keys() - now.keys() == {id(changed)} and changed.path in others


def kernels() -> None:
    try:
        library.load()
    except library.Unavailable as reason:
        pytest.skip(f"no kernels: {reason}")


def stored(backbone, folder):
    """A file of the backbone's weights in int4; the backbone has those weights from now on."""
    known = {}
    for layer in backbone._flatten_layers():
        if may_be_held(layer) and hasattr(layer, "kernel"):
            kernel = layer.kernel.numpy()
            bits = nearest(kernel.reshape(np.prod(kernel.shape[: summed_axes(layer)]), -1), kernel.shape)
            layer.kernel.assign(bits.values())
            known[digest(bits.values())] = bits
    backbone.save_to_preset(str(folder))
    narrow_preset(folder, "int4", known)
    with widened(folder / "model.weights.h5") as wide:
        backbone.load_weights(wide)
    return folder / "model.weights.h5"
