"""Which linear layers `model.peft.targets` means, of every family, and what is said where it means none."""

import keras
import pytest
from support.families import BACKBONES
from support.tiny_bart import make_bart
from support.tiny_t5 import make_t5

from kerasft.errors import UserError
from kerasft.peft.module_names import module_names, our_names
from kerasft.peft.targets import find_targets

MAKERS = {name: lambda name=name: BACKBONES[name](30) for name in BACKBONES}
MAKERS |= {"bart": lambda: make_bart()[0], "t5": lambda: make_t5()[0], "gated t5": lambda: make_t5(tied=False)[0]}
# How many of all_linear, attention and query_value; three layers, and of BART and T5 two on either side.
COUNTS = {
    "albert": (6, 4, 2),
    "llama3": (21, 12, 6),
    "bart": (32, 24, 12),
    "t5": (32, 24, 12),
    "gated t5": (36, 24, 12),
}


@pytest.fixture(scope="module")
def bert() -> keras.Model:
    return BACKBONES["bert"](30)


@pytest.fixture(params=MAKERS)
def family(request) -> tuple[str, keras.Model]:
    return request.param, MAKERS[request.param]()


def paths(backbone, which, layers="all") -> list[str]:
    return [target.path for target in find_targets(backbone, backbone, which, layers)]


def test_groups_of_layers_and_their_names_in_files_of_peft(family):
    name, backbone = family
    found = [paths(backbone, which) for which in ("all_linear", "attention", "query_value")]
    assert tuple(map(len, found)) == COUNTS.get(name, (18, 12, 6))
    assert set(found[2]) < set(found[1]) < set(found[0])
    theirs = module_names(backbone, found[0])
    assert len(set(theirs.values())) == len(found[0])
    modules = [module.partition("[")[0] for module in theirs.values()]
    if name in ("gpt2", "albert"):
        assert paths(backbone, our_names(modules)) == found[0]
    else:
        assert set(paths(backbone, our_names(modules))) >= set(found[0])


def test_names_are_whole_parts_of_a_path(bert):
    # Another library takes attention.output.dense for output.dense, too.
    assert paths(bert, ["feedforward_output_dense"], "last_1") == ["transformer_layer_2/feedforward_output_dense"]
    assert len(paths(bert, ["query", "self_attention_layer/value"])) == 6
    assert paths(bert, r"transformer_layer_[01]/.*/key") == [
        f"transformer_layer_{i}/self_attention_layer/key" for i in (0, 1)
    ]
    assert paths(bert, ["pooled_dense"]) == ["pooled_dense"]


@pytest.mark.parametrize(
    ("which", "layers", "said"),
    [
        (["querry"], "all", "querry fits no linear layer of this BertBackbone; there are query, key, value"),
        (["query", "classifier"], "all", "classifier fits no linear layer"),
        ("dense", "all", "dense fits no linear layer.*such as transformer_layer_0/self_attention_layer/query"),
        (["token_embedding"], "all", "token_embedding is a table of embeddings, which an output layer may share"),
        (["pooled_dense"], "last_4", "last_4 is more than the 3 transformer layers"),
        (r"transformer_layer_0/.*", "last_2", "fits no linear layer of this BertBackbone in last_2"),
    ],
)
def test_what_means_nothing_is_told_with_what_there_is(bert, which, layers, said):
    with pytest.raises(UserError, match=said):
        paths(bert, which, layers)


def test_a_layer_that_the_model_does_not_read_is_no_target(bert):
    model = keras.Model(bert.input, bert.output["sequence_output"])
    with pytest.raises(UserError, match="pooled_dense fits no linear layer"):
        find_targets(model, bert, ["pooled_dense"])
