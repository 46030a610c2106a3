"""Products of weights that were cast before: within the digits of bfloat16, and no weight is cast in the loop."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from support.decoders import MAKERS, strengthened

from kerasft.models.generation.bfloat16_weights import held_weights
from kerasft.models.generation.cached_decoder import next_token_logits, read_prompt, read_token
from kerasft.models.generation.generator import Generator


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
