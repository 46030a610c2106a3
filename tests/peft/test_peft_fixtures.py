"""Adapters of Hugging Face's PEFT compute here what they do there; benchmarks/peers/hf_peft_fixtures.py made them."""

import json
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
from safetensors.numpy import load_file

from kerasft.config.model import ModelConfig
from kerasft.models.presets.presets import load_backbone
from kerasft.peft.adapter_files import read_adapter
from kerasft.peft.module_names import family_of, known_names
from kerasft.peft.registry import METHODS
from kerasft.peft.sections import section_of

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDERS = sorted(path.parent for path in (FIXTURES / "peft").glob("*/adapter_config.json"))


@pytest.fixture(scope="module")
def backbones() -> dict[str, keras.Model]:
    """Of each family, read once."""
    return {}


def load_deberta(folder: Path) -> keras.Model:
    """KerasHub's DeBERTa-v3 with the weights of transformers' files, which no preset of ours is read from."""
    config, weights = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
    backbone = keras_hub.models.DebertaV3Backbone(
        vocabulary_size=config["vocab_size"],
        num_layers=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        hidden_dim=config["hidden_size"],
        intermediate_dim=config["intermediate_size"],
        max_sequence_length=config["max_position_embeddings"],
        bucket_size=config["position_buckets"],
        dropout=0.0,
    )
    others = {
        "token_embedding/embeddings": "embeddings.word_embeddings.weight",
        "rel_embedding/rel_embedding": "encoder.rel_embeddings.weight",
        "rel_embedding/rel_embeddings_layer_norm/gamma": "encoder.LayerNorm.weight",
        "rel_embedding/rel_embeddings_layer_norm/beta": "encoder.LayerNorm.bias",
    }
    names = known_names(backbone, [weight.path.rpartition("/")[0] for weight in backbone.weights])
    for weight in backbone.weights:
        layer, _, kind = weight.path.rpartition("/")
        ends = {"kernel": "weight", "gamma": "weight"}.get(kind, "bias")
        value = weights.pop(others.get(weight.path) or f"{names.get(layer, '').removeprefix('deberta.')}.{ends}")
        weight.assign((value.T if kind == "kernel" else value).reshape(weight.shape))
    assert not weights
    return backbone


def hidden(backbone: keras.Model, expected: dict) -> np.ndarray:
    """The last hidden states."""
    ids, mask = (np.array(expected[name], np.int32) for name in ("ids", "mask"))
    features = {
        name: ids if "token" in name else mask if "mask" in name else np.zeros_like(ids) for name in backbone.input
    }
    outputs = backbone(features)
    if isinstance(outputs, dict):
        outputs = outputs.get("decoder_sequence_output", outputs.get("sequence_output"))
    return np.array(outputs)


def test_every_family_and_method_has_a_fixture():
    families = {folder.name.split("-")[0] for folder in FOLDERS}
    methods = {folder.name.split("-")[1] for folder in FOLDERS}
    assert len(families) == 8 and methods == {"lora", "dora", "ia3", "adalora"} and len(FOLDERS) == 31


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_an_adapter_of_peft_computes_what_it_does_there(folder, backbones):
    family, kind = folder.name.split("-")
    if family not in backbones:
        backbones[family] = (
            load_deberta(FIXTURES / "peft_bases" / family)
            if family == "deberta"
            else load_backbone(str(FIXTURES / "hugging_face" / family))
        )
    backbone, adapter = backbones[family], read_adapter(folder)
    expected = json.loads((folder / "expected.json").read_text())
    before = hidden(backbone, expected)
    section = section_of(adapter) | {"start": None}
    config = ModelConfig(preset="x", peft=section).peft
    assert config.method == kind
    method = METHODS[kind](config, backbone, backbone, 0, adapter)
    rows = np.array(expected["mask"]).astype(bool)  # of padding nobody reads anything
    with method.merged():
        found = hidden(backbone, expected)
    assert np.abs(found - before)[rows].max() > 1e-2
    np.testing.assert_allclose(found[rows], np.array(expected["hidden"])[rows], atol=1e-5)
    # And back: what is written is what was read.
    read = load_file(folder / "adapter_model.safetensors")
    names = {name.removeprefix("base_model.model.").removeprefix(family_prefix(method)): name for name in read}
    written = {name.removeprefix(family_prefix(method)): value for name, value in method.tensors().items()}
    if family != "gpt2":  # three thirds of a joint layer are written as a block each, which computes the same
        assert written.keys() == names.keys()
        for name, value in written.items():
            np.testing.assert_allclose(value, read[names[name]].astype(np.float32), atol=1e-6)
    assert method.peft_config()["peft_type"] == adapter.config["peft_type"]


def family_prefix(method) -> str:
    return family_of(method.backbone).prefix
