"""The transformer layers of each family, freezing, and depths; fails where KerasHub moves its layers."""

import keras
import pytest

from kerasft.errors import UserError
from kerasft.models.blocks import layer_depths, set_trainable, transformer_blocks


def with_head(backbone: keras.Model) -> keras.Model:
    output = backbone.output
    output = output["pooled_output"] if isinstance(output, dict) else output[:, 0]
    return keras.Model(backbone.input, keras.layers.Dense(2, name="head")(output))


def trainable_paths(model: keras.Model) -> set[str]:
    return {variable.path for variable in model.trainable_variables}


def test_blocks_are_all_layers_bottom_to_top(family, make_backbone):
    backbone = make_backbone(family)
    blocks = transformer_blocks(backbone)
    # ALBERT shares one layer between its three.
    assert len(blocks) == (1 if family == "albert" else 3)
    order = [backbone.layers.index(block) for block in blocks]
    assert order == sorted(order)
    assert all(len(block.weights) >= 8 for block in blocks)


def test_groups_of_albert():
    backbone = keras.utils.get_registered_object("keras_hub>AlbertBackbone")(
        vocabulary_size=20,
        num_layers=4,
        num_heads=2,
        embedding_dim=4,
        hidden_dim=8,
        intermediate_dim=8,
        num_groups=2,
        num_inner_repetitions=2,
    )
    blocks = transformer_blocks(backbone)
    assert [block.name for block in blocks] == [f"group_{g}_inner_layer_{i}" for g in (0, 1) for i in (0, 1)]
    assert {depth for path, depth in layer_depths(backbone).items() if "group_1_inner_layer_0" in path} == {3}


def test_depths(family, make_backbone):
    backbone = make_backbone(family)
    depths = layer_depths(backbone)
    blocks = transformer_blocks(backbone)
    # every weight has exactly one depth
    assert sorted(depths) == sorted(weight.path for weight in backbone.weights)
    for depth, block in enumerate(blocks, 1):
        assert {depths[weight.path] for weight in block.weights} == {depth}
    below = {path for path, depth in depths.items() if depth == 0}
    assert below and all("embed" in path for path in below)
    above = {path.split("/")[-2] for path, depth in depths.items() if depth == len(blocks) + 1}
    expected = {
        "bert": {"pooled_dense"},
        "electra": {"pooled_dense"},
        "albert": {"pooled_dense"},
        "gpt2": {"layer_norm"},
        "llama3": {"sequence_output_layernorm"},
    }
    # Llama's unembedding stands among the weights of the token embedding.
    assert above == expected.get(family, set())


@pytest.mark.parametrize("which", ["head", "last_1_layers", "last_2_layers", "all"])
def test_freezing(family, make_backbone, which):
    backbone = make_backbone(family)
    model = with_head(backbone)
    head = {"head/kernel", "head/bias"}
    everything, blocks, depths = trainable_paths(model), transformer_blocks(backbone), layer_depths(backbone)
    if which == "last_2_layers" and len(blocks) < 2:
        pytest.skip("it has one layer, called again and again")
    set_trainable(backbone, which)
    least = {"head": len(blocks) + 2, "last_1_layers": len(blocks), "last_2_layers": len(blocks) - 1, "all": 0}[which]
    assert trainable_paths(model) == head | {path for path, depth in depths.items() if depth >= least}
    assert which != "all" or trainable_paths(model) == everything


def test_what_something_else_froze_stays_frozen(make_backbone):
    backbone = make_backbone("bert")
    model = with_head(backbone)
    backbone.enable_lora(4)
    adapters = trainable_paths(model)
    assert len(adapters) == 2 + 3 * 2 * 3  # the head; in each of three layers A, B and bias of query and value
    set_trainable(backbone, "all")
    assert trainable_paths(model) == adapters
    set_trainable(backbone, "last_1_layers")
    top = transformer_blocks(backbone)[-1].path
    assert trainable_paths(model) == {path for path in adapters if path.startswith((top, "head"))}
    set_trainable(backbone, "head")
    set_trainable(backbone, "all")
    assert trainable_paths(model) == {"head/kernel", "head/bias"}


def test_more_layers_than_there_are(make_backbone):
    backbone = make_backbone("bert")
    with pytest.raises(UserError, match="model.trainable: last_4_layers is more than the 3 .*use last_3_layers or all"):
        set_trainable(backbone, "last_4_layers")


def test_backbone_without_layers():
    inputs = keras.Input([2])
    with pytest.raises(UserError, match="model.preset: Functional has no list of transformer layers"):
        transformer_blocks(keras.Model(inputs, keras.layers.Dense(1)(inputs)))
