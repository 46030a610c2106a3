"""Folders as transformers saves them: the same ids and hidden states as there, or one line that says why not.

The folders and what transformers answers are in tests/fixtures/hugging_face; tests/fixtures/make_hugging_face.py
makes them.
"""

import json
import shutil
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from kerasft.errors import UserError
from kerasft.models.heads.causal_lm import CausalLM
from kerasft.models.heads.masked_lm import MaskedLM
from kerasft.models.presets.facts import FACTS
from kerasft.models.presets.layer_settings import settings_of
from kerasft.models.presets.masked_lm_weights import load_head
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset, save_preset
from kerasft.models.tokenizers.encoder import clean, token_encoder

FOLDERS = Path(__file__).parents[2] / "fixtures" / "hugging_face"
NAMES = sorted(folder.name for folder in FOLDERS.iterdir())
SETTINGS = ["bert-relu", "bert-tagger", "gpt2-relu", "gemma"]  # of layers, which KerasHub's own config leaves out
TOKENIZERS = ["bert", "distilbert", "roberta", "bart", "gpt2-relu", "llama", "llama-3", "xlm-roberta", "albert"]


def expected(name: str) -> list[dict]:
    return json.loads((FOLDERS / name / "expected.json").read_text(encoding="utf-8"))


def hidden(backbone: keras.Model, ids: list[int]) -> np.ndarray:
    ids = np.array([ids])
    given = {
        tensor.name: ids if "token_ids" in tensor.name else np.full_like(ids, "mask" in tensor.name)
        for tensor in backbone.inputs
    }
    output = backbone(given, training=False)
    if isinstance(output, dict):
        output = output.get("sequence_output", output.get("decoder_sequence_output"))
    return np.asarray(output)[0]


def copy(name: str, folder: Path, **changes) -> Path:
    """A folder with other values in its config.json; None takes a key away."""
    made = shutil.copytree(FOLDERS / name, folder / name)
    config = {**json.loads((made / "config.json").read_text()), **changes}
    (made / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return made


def change_json(file: Path, change) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def refusal(folder: Path) -> str:
    with pytest.raises(UserError, match="^model.preset: ") as error:
        load_backbone(resolve_preset(str(folder)))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_hidden_states_are_those_of_transformers(name):
    backbone = load_backbone(resolve_preset(str(FOLDERS / name)))
    for row in expected(name)[:2]:
        np.testing.assert_allclose(hidden(backbone, row["ids"]), row["hidden"], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_layers_are_saved(name, tmp_path):
    backbone = load_backbone(str(FOLDERS / name))
    save_preset(backbone, load_tokenizer(str(FOLDERS / name)), str(tmp_path))
    again, ids = load_backbone(resolve_preset(str(tmp_path))), expected(name)[0]["ids"]
    assert settings_of(again) == settings_of(backbone) != {}
    np.testing.assert_array_equal(hidden(again, ids), hidden(backbone, ids))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_ids_are_those_of_transformers(name):
    rows = expected(name)
    encoder = token_encoder(load_tokenizer(str(FOLDERS / name)))
    texts = tf.constant([row["text"] for row in rows])
    found = tf.function(lambda texts: encoder(clean(texts)), autograph=False)(texts).to_list()
    for ids, row in zip(found, rows, strict=True):
        around = (len(row["ids"]) - len(ids)) // 2  # special tokens, as many before as behind
        assert row["ids"][around : len(row["ids"]) - around] == ids


def rates(backbone: keras.Model) -> tuple[set, set]:
    """Of attention, and of the rest."""
    layers = backbone._flatten_layers()
    attention = [layer for layer in layers if isinstance(layer, keras.layers.MultiHeadAttention)]
    inside = {id(layer._dropout_layer) for layer in attention}
    others = {layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout) and id(layer) not in inside}
    return {layer._dropout_layer.rate for layer in attention} | {layer.dropout for layer in attention}, others


@pytest.mark.parametrize(
    ("name", "attention", "others"),
    [("bert", 0.1, 0.1), ("bert-relu", 0.0, 0.0), ("bert-tagger", 0.0, 0.1), ("distilbert-relu", 0.1, 0.2)],
)
def test_dropout_is_the_presets_own(name, attention, others, tmp_path):
    backbone = load_backbone(str(FOLDERS / name))
    assert rates(backbone) == ({attention}, {others})
    save_preset(backbone, load_tokenizer(str(FOLDERS / name)), str(tmp_path))
    assert rates(load_backbone(str(tmp_path))) == ({attention}, {others})
    assert rates(load_backbone(str(tmp_path), dropout=0.3)) == ({0.3}, {0.3})


def test_settings_survive_another_dropout():
    backbone = load_backbone(str(FOLDERS / "bert-relu"), dropout=0.3)
    row = expected("bert-relu")[0]
    np.testing.assert_allclose(hidden(backbone, row["ids"]), row["hidden"], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "bert",
            {"position_embedding_type": "relative_key"},
            "type is 'relative_key', and KerasHub",
        ),
        ("bert", {"is_decoder": True}, "is_decoder is True"),
        ("bert", {"hidden_act": "relu2"}, "hidden_act is 'relu2'"),
        ("bert", {"hidden_dropout_prob": 1.5}, "hidden_dropout_prob is 1.5"),
        ("bert", {"layer_norm_eps": "tiny"}, "layer_norm_eps is 'tiny'"),
        ("bert", {"num_attention_heads": 3}, "num_attention_heads is 3"),
        ("bert", {"vocab_size": None}, "has no vocab_size"),
        ("bert", {"hidden_size": "8"}, "hidden_size is '8', and not a number"),
        ("bert", {"quantization_config": {"bits": 4}}, "quantization_config is"),
        ("bert", {"auto_map": {"AutoModel": "modeling.Mine"}}, "code of its own, which is never run"),
        ("bert", {"model_type": "nezha"}, "model_type is 'nezha', which is not read"),
        ("roberta", {"pad_token_id": 0}, "pad_token_id is 0, and KerasHub's roberta has 1"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
        ("gpt2", {"tie_word_embeddings": False}, "tie_word_embeddings is False"),
        ("bart", {"scale_embedding": True}, "scale_embedding is True"),
        ("bart", {"decoder_layers": 1}, "decoder_layers is 1"),
        ("llama", {"attention_bias": True}, "attention_bias is True"),
        ("llama", {"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ("llama", {"head_dim": 8}, "head_dim is 8"),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, "rope_type is 'yarn'"),
        ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_type is 'dynamic'"),
        ("mistral", {"tie_word_embeddings": True}, "tie_word_embeddings is True"),
        ("qwen2", {"use_sliding_window": True}, "use_sliding_window is True"),
        ("gemma", {"rope_parameters": {"rope_theta": 5.0}}, "rope_theta is 5.0"),
        ("gemma2", {"query_pre_attn_scalar": 7}, "query_pre_attn_scalar is 7"),
        ("gemma3", {"layer_types": ["full_attention"] * 7}, "layer_types is"),
    ],
)
def test_a_key_that_is_not_built_is_named(name, changes, message, tmp_path):
    folder = copy(name, tmp_path, **changes)
    with pytest.raises(UserError, match="^model.preset: ") as error:
        resolve_preset(str(folder))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_an_old_form_of_rotary_positions(tmp_path):
    """`rope_theta` and `rope_scaling`, as transformers 4 wrote them."""
    new = json.loads((FOLDERS / "llama-3" / "config.json").read_text())["rope_parameters"]
    folder = copy("llama-3", tmp_path, rope_parameters=None, rope_theta=new["rope_theta"], rope_scaling=new)
    row = expected("llama-3")[0]
    np.testing.assert_allclose(hidden(load_backbone(str(folder)), row["ids"]), row["hidden"], atol=1e-4)


def test_keys_that_are_not_known_are_said(tmp_path, capsys):
    folder = copy("distilbert", tmp_path, use_alibi=True, finetuning_task="x", gated=False)
    load_backbone(resolve_preset(str(folder)))
    assert "not known here, and left aside: use_alibi\n" in capsys.readouterr().err


def test_dropout_without_a_layer_is_said(tmp_path, capsys):
    load_backbone(resolve_preset(str(copy("bart", tmp_path, activation_dropout=0.1))))
    assert "activation_dropout is 0.1, for which KerasHub's bart has no layer" in capsys.readouterr().err


def change_weights(folder: Path, change) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file({name: np.ascontiguousarray(value) for name, value in weights.items()}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("bert", "encoder.layer.0.attention.self.query.lora_A.weight"),
        ("bert", "encoder.layer.0.crossattention.self.query.weight"),
        ("distilbert", "embeddings.token_type_embeddings.weight"),
        ("gpt2", "transformer.h.0.crossattention.c_attn.weight"),
        ("llama", "model.layers.0.self_attn.q_proj.bias"),
        ("bart-relu", "model.encoder.layer_norm.weight"),
    ],
)
def test_a_tensor_without_a_variable_is_named(name, tensor, tmp_path):
    folder = copy(name, tmp_path)
    change_weights(folder, lambda weights: weights.update({tensor: np.ones(3, np.float32)}))
    assert f"its weights have {tensor}, which KerasHub" in refusal(folder)


def test_a_head_of_ones_own_is_said(tmp_path, capsys):
    folder = copy("gpt2", tmp_path)
    change_weights(folder, lambda weights: weights.update({"my_projection.weight": np.ones(3, np.float32)}))
    load_backbone(resolve_preset(str(folder)))
    assert "1 weights are of no part that is known and are left aside: my_projection.weight" in capsys.readouterr().err


def test_weights_of_another_prefix(tmp_path):
    """As sentence-transformers and DataParallel leave them."""
    folder = copy("bert", tmp_path)
    change_weights(
        folder, lambda weights: [weights.update({f"0.auto_model.{k}": weights.pop(k)}) for k in list(weights)]
    )
    row = expected("bert")[0]
    np.testing.assert_allclose(hidden(load_backbone(str(folder)), row["ids"]), row["hidden"], atol=1e-4)


def test_weights_that_are_missing_or_no_numbers(tmp_path, capsys):
    folder = copy("roberta", tmp_path)
    change_weights(folder, lambda weights: weights.pop("encoder.layer.1.output.dense.bias"))
    assert "its weights lack roberta.encoder.layer.1.output.dense.bias" in refusal(folder)
    folder = copy("bert-relu", tmp_path)
    load_backbone(str(folder))
    assert "has no weights of the pooler: they are new" in capsys.readouterr().err
    change_weights(folder, lambda weights: weights["bert.embeddings.LayerNorm.bias"].__setitem__(2, np.nan))
    assert "bert.embeddings.LayerNorm.bias holds 1 numbers that are NaN or infinite" in refusal(folder)
    folder = copy("bert", tmp_path)
    change_weights(folder, lambda weights: weights.update({"pooler.dense.bias": np.ones(8, np.int8)}))
    assert "pooler.dense.bias is of type I8" in refusal(folder)
    change_weights(folder, lambda weights: weights.update({"pooler.dense.bias": np.ones(5, np.float32)}))
    assert "pooler.dense.bias has the shape [5]" in refusal(folder)


def test_an_output_layer_of_its_own(tmp_path):
    folder = copy("gpt2", tmp_path)
    table = load_file(folder / "model.safetensors")["transformer.wte.weight"]
    change_weights(folder, lambda weights: weights.update({"lm_head.weight": table}))
    load_backbone(resolve_preset(str(folder)))  # the same by another name
    change_weights(folder, lambda weights: weights.update({"lm_head.weight": table + 1}))
    assert "its lm_head.weight is not its token embedding" in refusal(folder)


def test_a_masked_language_models_head(tmp_path):
    """Its activation and epsilon are those of config.json; the folder has no preset's own table of outputs."""
    backbone = load_backbone(str(FOLDERS / "bert-relu"))
    assert settings_of(backbone)["head"] == {"activation": "relu", "epsilon": 0.1}
    model = MaskedLM(backbone)
    assert load_head(model, str(FOLDERS / "bert-relu"))
    folder = copy("bert-relu", tmp_path)
    table = load_file(folder / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    change_weights(folder, lambda weights: weights.update({"cls.predictions.decoder.weight": table * 2}))
    with pytest.raises(UserError, match="its output layer, cls.predictions.decoder.weight, is not its token embedding"):
        load_head(model, str(folder))


def test_kerashub_loads_a_saved_model_by_itself(tmp_path):
    """Also beside what kerasft keeps there of a task."""
    save_preset(load_backbone(str(FOLDERS / "bert")), load_tokenizer(str(FOLDERS / "bert")), str(tmp_path))
    (tmp_path / FACTS).write_text(json.dumps({"task": "text_classification", "state": {}}))
    classifier = keras_hub.models.TextClassifier.from_preset(str(tmp_path), num_classes=2)
    assert classifier.backbone.count_params() == load_backbone(str(FOLDERS / "bert")).count_params()
    save_preset(load_backbone(str(FOLDERS / "bert-relu")), load_tokenizer(str(FOLDERS / "bert-relu")), str(tmp_path))
    with pytest.raises(ValueError, match="no class registered with Keras for kerasft>BertBackbone"):
        keras_hub.models.Backbone.from_preset(str(tmp_path))


def test_a_llama_without_its_output_layer_reads_and_does_not_write(tmp_path, capsys):
    folder = copy("llama", tmp_path)
    change_weights(folder, lambda weights: weights.pop("lm_head.weight"))
    backbone = load_backbone(resolve_preset(str(folder)))
    row = expected("llama")[0]
    np.testing.assert_allclose(hidden(backbone, row["ids"]), row["hidden"], atol=1e-4)
    assert "has no weights of the output layer: they are new" in capsys.readouterr().err
    with pytest.raises(UserError, match="have no lm_head.weight, with which texts are written"):
        CausalLM(backbone)
