"""LoRA against arithmetic by hand, on every family, and its files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.families import BACKBONES
from support.tiny_bart import make_bart
from support.tiny_t5 import make_t5

from kerasft.config.model import ModelConfig
from kerasft.config.peft import LoraConfig
from kerasft.errors import UserError
from kerasft.kernels import library
from kerasft.models.blocks import transformer_blocks
from kerasft.peft.adapter_files import Adapter, read_adapter, write_adapter
from kerasft.peft.lora import Lora
from kerasft.peft.registry import METHODS
from kerasft.peft.sections import section_of
from kerasft.training.layers.fused_layers import NAMES, fused_layers
from kerasft.training.layers.kernel_layers import kernels_ready
from kerasft.training.layers.precision import bfloat16_products
from kerasft.training.layers.rematerialize import rematerialized

FAMILIES = ("bert", "distil_bert", "roberta", "albert", "deberta_v3", "gpt2", "llama3", "bart", "t5")


def make(family: str) -> keras.Model:
    backbone = (
        make_bart(strong=False)[0] if family == "bart" else make_t5()[0] if family == "t5" else BACKBONES[family](30)
    )
    for layer in backbone._flatten_layers():  # what draws numbers would hide what the adapter does
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return backbone


def lora(backbone: keras.Model, start=None, **keys) -> Lora:
    return Lora(LoraConfig(method="lora", **{"rank": 2, **keys}), backbone, backbone, 3, start)


def disturbed(method: Lora) -> Lora:
    """B is not zero any more."""
    random = np.random.default_rng(0)
    for pair in method.adapters:
        pair.variables["lora_B"].assign(random.normal(0, 0.1, pair.variables["lora_B"].shape))
    return method


def outputs(backbone: keras.Model, training=True) -> np.ndarray:
    ids = np.random.default_rng(0).integers(1, 30, (2, 6)).astype("int32")
    values = {"segment_ids": np.zeros_like(ids)}
    names = [tensor.name for tensor in backbone.inputs]
    features = {n: tf.constant(ids if "token_ids" in n else values.get(n, np.ones_like(ids))) for n in names}
    found = backbone(features, training=training)
    if isinstance(found, dict):
        found = found.get("sequence_output", found.get("decoder_sequence_output"))
    return found


@pytest.fixture(scope="module", params=FAMILIES)
def adapted(request) -> Lora:
    return disturbed(lora(make(request.param)))


def test_a_layer_gives_what_arithmetic_by_hand_gives():
    layer = keras.layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", activation="tanh", name="query")
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, layer(inputs))
    layer.bias.assign(np.arange(6).reshape(2, 3) / 7)
    model.transformer_layers = [layer]
    method = disturbed(lora(model, targets=["query"], alpha=6, scaling="sqrt"))
    (pair,) = method.adapters
    now, x = pair.matrices(), np.random.default_rng(1).normal(size=(2, 5, 4)).astype(np.float32)
    assert now.a.shape == (4, 2) and np.abs(now.a).max() <= 0.5
    kernel, bias = (part.numpy().reshape(-1, 6) for part in (layer.kernel, layer.bias))
    by_hand = np.tanh(x @ kernel + 6 / np.sqrt(2) * x @ now.a @ now.b + bias).reshape(2, 5, 2, 3)
    with method.installed():
        np.testing.assert_allclose(model(x), by_hand, atol=1e-6)
    assert np.abs(model(x) - by_hand).max() > 1e-2


def test_a_form_and_merged_weights_are_the_same_in_every_family(adapted):
    backbone = adapted.backbone
    base, bits = outputs(backbone), [weight.numpy() for weight in backbone.weights]
    with adapted.installed():
        computed = outputs(backbone)
    with adapted.merged():
        merged = outputs(backbone)
    scale = max(1.0, np.abs(computed).max())
    np.testing.assert_allclose(merged / scale, computed / scale, atol=1e-5)
    assert np.abs(computed - base).max() > 1e-3
    for weight, before in zip(backbone.weights, bits):
        np.testing.assert_array_equal(weight.numpy(), before)


def test_every_pair_has_the_same_gradient_in_every_form_of_every_family(adapted):
    backbone, variables = adapted.backbone, list(adapted.variables.values())

    def gradients(forms, blocks=()):
        with fused_layers(backbone, forms), kernels_ready(backbone), adapted.installed(), rematerialized(blocks):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.sin(outputs(backbone)))
            return [tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, variables)]

    plain = gradients(())
    assert [path for path, g in zip(adapted.variables, plain) if not np.abs(g).max() > 0] == []
    again = () if type(backbone).__name__ == "T5Backbone" else transformer_blocks(backbone)  # T5's give two tensors
    for forms, blocks in ((available(), ()), ((), again)):
        for one, other in zip(gradients(forms, blocks), plain):
            np.testing.assert_allclose(one, other, atol=2e-5 * max(1.0, np.abs(other).max()))


def available() -> tuple[str, ...]:
    try:
        library.load()
    except library.Unavailable:
        return tuple(name for name in NAMES if name != "kernels")
    return NAMES


def test_an_adapter_comes_back_from_its_files_in_every_family(adapted, tmp_path):
    write_adapter(tmp_path, adapted.peft_config(), adapted.saved_tensors(), {"peft": {}, "kerasft": "1"})
    again = lora(adapted.backbone, read_adapter(tmp_path))
    for one, other in zip(again.adapters, adapted.adapters, strict=True):
        np.testing.assert_allclose(one.delta(), other.delta(), atol=1e-6)


def test_a_joint_layer_of_gpt2_is_three_that_share_a():
    backbone = make("gpt2")
    random, tensors = np.random.default_rng(0), {}
    for i in range(3):
        tensors[f"transformer.h.{i}.attn.c_attn.lora_A.weight"] = random.normal(size=(2, 8)).astype(np.float32)
        tensors[f"transformer.h.{i}.attn.c_attn.lora_B.weight"] = random.normal(size=(24, 2)).astype(np.float32)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 16.0}
    method = lora(backbone, Adapter("x", config, tensors, {}), targets=["query", "key", "value"])
    whole = 8 * (
        tensors["transformer.h.1.attn.c_attn.lora_B.weight"] @ tensors["transformer.h.1.attn.c_attn.lora_A.weight"]
    )
    mine = {pair.target.path: pair.delta() for pair in method.adapters}
    found = [mine[f"transformer_layer_1/self_attention/{part}"] for part in ("query", "key", "value")]
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole.T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "keys", "said"),
    [
        ({"r": 4}, {}, "model.peft.rank: 2, but x has 4"),
        ({"use_rslora": True}, {}, "model.peft.scaling: rank, but x has sqrt"),
        ({"peft_type": "IA3"}, {}, "x is of IA3, not LORA"),
        ({}, {"targets": ["query", "key"]}, "x has nothing for transformer_layer_0/self_attention_layer/key"),
        ({}, {"targets": ["value"], "layers": "last_1"}, "which model.peft.targets leaves out"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(change, keys, said):
    backbone = make("bert")
    method = disturbed(lora(backbone, targets="query_value"))
    config = method.peft_config() | change
    with pytest.raises(UserError, match=said):
        lora(backbone, Adapter("x", config, method.tensors(), {}), **{"targets": "query_value", **keys})


def test_a_dead_pair_and_other_shapes_are_refused():
    backbone = make("bert")
    method = lora(backbone, targets=["query"])
    dead = {name: 0 * value for name, value in method.tensors().items()}
    with pytest.raises(UserError, match="A and B of bert.encoder.layer.0.attention.self.query are zero"):
        lora(backbone, Adapter("x", method.peft_config(), dead, {}), targets=["query"])
    wide = {name: np.ones((value.shape[0], 9) if "lora_A" in name else value.shape) for name, value in dead.items()}
    with pytest.raises(UserError, match="is 9 x 8, and .* is 8 x 8; use the preset that it was trained with"):
        lora(backbone, Adapter("x", method.peft_config(), wide, {}), targets=["query"])
    with pytest.raises(UserError, match="model.peft.rank: 9 is more than .*, whose kernel is 8 x 8; use 8 or less"):
        lora(backbone, rank=9)


def test_twice_the_alpha_is_twice_the_difference():
    backbone = make("bert")
    one, two = (disturbed(lora(backbone, alpha=alpha)) for alpha in (4, 8))
    for first, second in zip(one.adapters, two.adapters):
        np.testing.assert_array_equal(2 * first.delta(), second.delta())


def test_dropout_is_drawn_again_where_a_layer_is_computed_again():
    """And is on what A reads alone: with B at zero nothing is dropped."""
    backbone = make("bert")
    method, blocks = lora(backbone, dropout=0.5), transformer_blocks(backbone)
    plain = outputs(backbone)
    with method.installed():
        np.testing.assert_array_equal(outputs(backbone), plain)
    disturbed(method)
    states = [method.dropout.seed_generator.state]
    begun = [state.numpy() for state in states]

    def gradients(recomputed):
        for state, value in zip(states, begun):
            state.assign(value)
        with method.installed(), rematerialized(recomputed), tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(outputs(backbone)))
            return float(loss), tape.gradient(loss, [pair.variables["lora_A"].value for pair in method.adapters])

    (loss, mine), (again, others) = gradients(()), gradients(blocks)
    assert loss == pytest.approx(again, rel=1e-5)
    for one, other in zip(mine, others):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_ranks_and_alphas_of_single_layers_are_read_and_written():
    """As PEFT has them: a key is the end of a name."""
    backbone, random = make("bert"), np.random.default_rng(0)
    query, value = (f"bert.encoder.layer.{{}}.attention.self.{part}" for part in ("query", "value"))
    tensors = {}
    for name, rank in ((query, 2), (value, 3)):
        for i in range(3):
            tensors[f"{name.format(i)}.lora_A.weight"] = random.normal(size=(rank, 8)).astype(np.float32)
            tensors[f"{name.format(i)}.lora_B.weight"] = random.normal(size=(8, rank)).astype(np.float32)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 16, "rank_pattern": {"value": 3}}
    config |= {"alpha_pattern": {"self.value": 6, "alue": 99}}
    method = lora(backbone, Adapter("x", config, tensors, {}), targets="query_value")
    assert {pair.target.path.rsplit("/", 1)[1]: pair.scale for pair in method.adapters} == {"query": 8.0, "value": 2.0}
    written = method.peft_config()
    assert written["rank_pattern"] == {value.format(i): 3 for i in range(3)}
    assert written["alpha_pattern"] == {value.format(i): 6.0 for i in range(3)}
    again = lora(backbone, Adapter("x", written, method.tensors(), {}), targets="query_value")
    for one, other in zip(again.adapters, method.adapters, strict=True):
        np.testing.assert_allclose(one.delta(), other.delta(), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"alpha_pattern": {".*query": 4}}, r"alpha_pattern has the regular expression \.\*query, which is not read"),
        ({"init_lora_weights": "pissa_niter_4"}, "x has init_lora_weights: pissa_niter_4, so that it belongs to a"),
        ({"layer_replication": [[0, 1]]}, "x has layer_replication, so that it belongs to a changed base"),
    ],
)
def test_an_adapter_of_peft_that_means_something_else_is_refused(change, said):
    backbone = make("bert")
    method = disturbed(lora(backbone, targets=["query"]))
    with pytest.raises(UserError, match=said):
        lora(backbone, Adapter("x", method.peft_config() | change, method.tensors(), {}), targets=["query"])


def test_an_adapter_of_dora_is_imported_as_one_and_a_damaged_config_is_refused():
    method = lora(make("bert"), targets=["query"])
    found = Adapter("x", method.peft_config() | {"use_dora": True}, method.tensors(), {})
    assert section_of(found)["method"] == "dora" and section_of(found)["targets"] == ["query"]
    with pytest.raises(UserError, match="x: adapter_config.json has no number r"):
        section_of(Adapter("x", {"peft_type": "LORA", "lora_alpha": 16}, method.tensors(), {}))


@pytest.mark.parametrize("name", ["lora", "dora", "pissa", "vera"])
def test_dropout_is_in_the_type_of_products_within_the_kernels(name):
    backbone = make("bert")
    section = ModelConfig(preset="x", peft={"method": name, "rank": 2, "dropout": 0.5}).peft
    method = METHODS[name](section, backbone, backbone, 3)
    for place, variable in enumerate(method.variables.values()):
        variable.assign(variable + 0.1 * keras.random.normal(variable.shape, seed=place))
    forms = available()
    with bfloat16_products(True), fused_layers(backbone, forms), kernels_ready(backbone), method.installed():
        found = [outputs(backbone).numpy() for _ in range(2)]
    assert np.isfinite(found).all() and np.abs(found[0] - found[1]).max() > 1e-3
