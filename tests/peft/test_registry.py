"""What is said before a training: families without names in files of PEFT, layers left out, adapters not all taken."""

import keras
import keras_hub
import numpy as np
import pytest
from support.families import BACKBONES
from support.peft_run import peft_config
from support.task_rows import TASKS, settings  # noqa: F401

from kerasft.assembly import assemble
from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.inference.untrained import Untrained
from kerasft.models.heads.text_classifier import build_classifier
from kerasft.models.named_weights import by_path
from kerasft.models.presets.layer_settings import apply_settings
from kerasft.peft.adapter_files import read_adapter, write_adapter
from kerasft.peft.base import Method
from kerasft.peft.base_digest import base_digest
from kerasft.peft.head_tensors import head_tensors
from kerasft.peft.new_folder import new_folder
from kerasft.peft.registry import put_method
from kerasft.peft.targets import find_targets, left_out
from kerasft.run_adapter import write_files
from kerasft.tasks.registry import create_task


def gemma() -> keras.Model:
    sizes = {"num_query_heads": 2, "num_key_value_heads": 1, "hidden_dim": 8, "intermediate_dim": 16, "head_dim": 4}
    return keras_hub.models.GemmaBackbone(vocabulary_size=30, num_layers=2, **sizes)


def smollm3() -> keras.Model:
    return keras_hub.models.SmolLM3Backbone(
        vocabulary_size=30, hidden_dim=8, intermediate_dim=16, num_layers=2, num_attention_heads=2,
        num_key_value_heads=1, attention_bias=False, attention_dropout=0.0, rope_layer_enabled_list=[True, True],
        layer_types=["full_attention"] * 2, mlp_bias=False, layer_norm_epsilon=1e-6, max_position_embeddings=32,
        rope_theta=1e4, partial_rotary_factor=1.0,
    )  # fmt: skip


def put(backbone: keras.Model, method: str = "lora", **keys) -> Method:
    rank = {"rank": 2} if method == "lora" else {}
    return put_method(peft_config({"method": method, **rank, **keys}), backbone, backbone)


@pytest.mark.parametrize(
    ("make", "module", "left"),
    [
        (gemma, "model.layers.1.mlp.gate_proj", "decoder_block_0/attention/query and 5 more"),
        (smollm3, "model.layers.1.self_attn.q_proj", "o_proj and 1 more"),
    ],
)
def test_layers_that_can_have_no_adapter_are_named_and_the_others_have_names_of_peft(make, module, left):
    method = put(make())
    assert [note for note in method.notes if f"all_linear leaves out {left}" in note] == method.notes
    modules = method.peft_config()["target_modules"]
    assert module in modules and len(modules) == len(method.adapters) == len(set(method.tensors())) / 2


def test_nothing_is_left_out_of_other_families_and_nothing_said():
    for name in ("bert", "gpt2", "deberta_v3", "llama3"):
        assert left_out(BACKBONES[name](30)) == []
    assert put(BACKBONES["bert"](30)).notes == []


def test_a_family_whose_adapter_could_not_be_saved_is_refused_before_it_trains():
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 32}
    backbone = keras_hub.models.OPTBackbone(vocabulary_size=30, **sizes)
    assert find_targets(backbone, backbone, "all_linear")
    with pytest.raises(UserError, match="model.peft: the adapter could not be saved, .* layers of a OPTBackbone; "):
        put(backbone)
    put(backbone, method="bitfit")  # its names are our own


def test_one_name_of_several_layers_is_no_target():
    with pytest.raises(UserError, match="o_proj fits no linear layer"):
        put(smollm3(), targets=["o_proj"])


@pytest.mark.parametrize(("pooling", "modules"), [("auto", ["classifier"]), ("mean", []), ("last", []), ("cls", [])])
def test_a_head_has_names_of_peft_only_where_it_reads_what_theirs_reads(pooling, modules):
    backbone = BACKBONES["bert"](30)
    model = build_classifier(backbone, 2, pooling)
    head = by_path(weight for weight in model.weights if weight.path.startswith(("classifier", "pooler/")))
    tensors, found = head_tensors(model, backbone, head)
    assert found == modules and ("classifier.weight" in tensors) == bool(modules) and len(tensors) == len(head)


def test_weights_of_an_adapter_that_nothing_takes_are_refused(tmp_path):
    backbone = BACKBONES["bert"](30)
    method = put(backbone, method="ia3")
    tensors = method.tensors() | {"classifier.weight": np.ones((2, 8), np.float32)}
    write_adapter(tmp_path, method.peft_config(), tensors, {})
    put(backbone, method="ia3", start=str(tmp_path))
    # By PEFT's own rules `output.dense` of a BERT is two layers.
    more = "bert.encoder.layer.0.attention.output.dense.ia3_l"
    write_adapter(tmp_path, method.peft_config(), tensors | {more: np.ones((1, 8), np.float32)}, {})
    with pytest.raises(UserError, match=rf"has {more}, which no layer takes here \(1 such\)"):
        put(backbone, method="ia3", start=str(tmp_path))
    bitfit = put(backbone, method="bitfit")
    write_adapter(tmp_path, bitfit.peft_config(), bitfit.tensors(), {})
    with pytest.raises(UserError, match="which no layer takes here"):
        put(backbone, method="bitfit", layers="last_1", start=str(tmp_path))


def test_a_damaged_kerasft_json_is_said_in_a_line(tmp_path):
    backbone = BACKBONES["bert"](30)
    method = put(backbone)
    write_adapter(tmp_path, method.peft_config(), method.tensors(), {"base": "deadbeef"})
    with pytest.raises(UserError, match="kerasft.json: base is no JSON object"):
        put(backbone, start=str(tmp_path))


@pytest.mark.parametrize(
    ("part", "said"),
    [("base", "beside other weights than those"), ("tokenizer", "with another tokenizer than that")],
)
def test_an_adapter_of_another_preset_is_refused(part, said, tmp_path):
    backbone = BACKBONES["bert"](30)
    method = put(backbone)
    digests = {"base": "aa", "tokenizer": "bb"}
    facts = {"base": {"sha256": "aa", "preset": "hf:its/own"}, "tokenizer": {"sha256": "bb"}}
    tensors = {name: np.ones_like(value) for name, value in method.tensors().items()}
    write_adapter(tmp_path, method.peft_config(), tensors, facts)
    config = peft_config({"method": "lora", "rank": 2, "start": str(tmp_path)})
    put_method(config, backbone, backbone, digests)
    with pytest.raises(UserError, match=f"was trained {said} of model.preset .*; use hf:its/own"):
        put_method(config, backbone, backbone, digests | {part: "cc"})


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000], ids=["cut", "list", "deep"])
def test_json_that_is_none_is_said_in_a_line(text, tmp_path):
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(UserError, match="adapter_config.json is not .*; copy the adapter again"):
        read_adapter(tmp_path)


def test_a_backbone_that_keras_has_given_a_lora_is_refused():
    backbone = BACKBONES["bert"](30)
    backbone.enable_lora(2)
    with pytest.raises(UserError, match="has a LoRA of Keras' own, by enable_lora; leave that out, or model.peft"):
        put(backbone)


def test_a_full_disk_in_a_new_folder_is_said_in_a_line(tmp_path):
    with pytest.raises(UserError, match="DIR: .*new can't be written .No space left on device.; fix that"):
        with new_folder(tmp_path / "new", "DIR") as draft:
            (draft / "half").write_text("x")
            raise OSError(28, "No space left on device")
    assert not [*tmp_path.iterdir()]


def test_a_pooler_that_is_drawn_by_the_seed_is_no_part_of_the_base():
    one, other = BACKBONES["bert"](30), BACKBONES["bert"](30)
    for mine, theirs in zip(one.weights, other.weights):
        if not mine.path.startswith("pooled_dense/"):
            theirs.assign(mine)
    assert base_digest(one) != base_digest(other)
    one, other = (apply_settings(backbone, {"missing": ["pooler"]}) for backbone in (one, other))
    assert base_digest(one) == base_digest(other)


def test_a_preset_is_measured_with_the_adapter_that_its_config_starts_from(settings, tmp_path):  # noqa: F811
    config = settings(*TASKS["scored pairs"])

    def with_start(start: str | None) -> Config:
        peft = {"method": "lora", "rank": 2, "start": start}
        return Config.model_validate(config.model_dump() | {"model": config.model.model_dump() | {"peft": peft}})

    begun = with_start(None)
    task = create_task(begun)
    assembled = assemble(begun, task, preset=config.model.preset)
    for pair in assembled.method.adapters:
        pair.variables["lora_B"].assign(np.full(pair.variables["lora_B"].shape, 0.5))
    (tmp_path / "adapter").mkdir()
    write_files(assembled, task, tmp_path / "adapter")
    texts = {name: ["goal by the team", "a bank"] for name in task.inputs}
    found = {
        start: Untrained(with_start(start), config.model.preset).load().answer(texts)
        for start in (None, str(tmp_path / "adapter"))
    }
    plain, adapted = (np.concatenate([value.ravel() for value in each.values()]) for each in found.values())
    assert np.abs(plain - adapted).max() > 1e-3
