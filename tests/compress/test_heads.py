"""Attention with fewer heads is that of all heads of which some say nothing, in memory and read from disk."""

import concurrent.futures
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from support.families import BACKBONES
from support.tiny_bert import make_tiny_preset

from kerasft.compress.heads import ATTENTION, OUTPUT, Heads, attentions_of, changes_of
from kerasft.compress.smaller_backbone import by_path, resized
from kerasft.config.compress import HeadsConfig
from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.models.blocks import transformer_blocks
from kerasft.models.presets.keras_presets import backbone_config, load_saved_backbone, save_preset
from kerasft.models.presets.layer_settings import building_with
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.runs import Run
from kerasft.training.layers.fused_layers import chosen_forms, fused_layers

KEPT = np.array([1])  # of two heads


def without_first_head(backbone: keras.Model) -> keras.Model:
    """The backbone with fewer heads; in the one that is given, the others are silent from now on."""
    changes = {}
    for attention in attentions_of(transformer_blocks(backbone)):
        output = getattr(attention, OUTPUT)
        kernel = keras.ops.convert_to_numpy(output.kernel).copy()
        kernel[0] = 0.0
        output.kernel.assign(kernel)
        changes |= changes_of(attention, KEPT, kernel[KEPT], keras.ops.convert_to_numpy(output.bias))
    return resized(backbone, by_path(changes), heads=1)


def vectors(backbone: keras.Model) -> np.ndarray:
    ids = np.random.default_rng(0).integers(5, 30, (3, 7))
    mask = np.arange(7)[None] < np.array([[7], [4], [1]])
    inputs = {"token_ids": ids, "padding_mask": mask.astype(int), "segment_ids": np.zeros_like(ids)}
    output = backbone({tensor.name: inputs[tensor.name] for tensor in backbone.inputs}, training=False)
    output = output["sequence_output"] if isinstance(output, dict) else output
    return keras.ops.convert_to_numpy(output)[mask]


@pytest.mark.parametrize("family", ["bert", "distil_bert", "electra", "roberta", "xlm_roberta", "albert", "gpt2"])
def test_fewer_heads_give_what_all_give_where_the_others_are_silent(family):
    backbone = BACKBONES[family](30)
    random = np.random.default_rng(1)
    for weight in backbone.weights:
        weight.assign(random.normal(1.0 if "gamma" in weight.path else 0.0, 0.3, weight.shape))
    small = without_first_head(backbone)
    assert small.count_params() < backbone.count_params()
    np.testing.assert_allclose(vectors(small), vectors(backbone), atol=1e-5)
    with fused_layers(small, chosen_forms(None, print)):
        np.testing.assert_allclose(vectors(small), vectors(backbone), atol=1e-5)


@pytest.mark.parametrize("family", ["deberta_v3", "llama3"])
def test_another_attention_is_not_known(family):
    assert attentions_of(transformer_blocks(BACKBONES[family](30))) == []


def test_a_preset_keeps_them_and_a_backbone_that_is_built_beside_has_its_own(tmp_path):
    folder, made = make_tiny_preset(tmp_path / "preset", layers=2), keras.layers.MultiHeadAttention.__init__
    backbone = load_backbone(str(folder))
    small = without_first_head(backbone)
    save_preset(small, load_tokenizer(str(folder)), str(tmp_path / "small"))
    config = json.loads((tmp_path / "small" / "config.json").read_text())
    assert config["registered_name"].startswith("kerasft>") and config["kerasft_layers"] == {"heads": 1}
    again = load_saved_backbone(str(tmp_path / "small"), None, True)
    np.testing.assert_array_equal(vectors(again), vectors(small))
    assert backbone_config(again) == config
    with building_with({"heads": 1}):
        beside = load_backbone(str(folder))
        with concurrent.futures.ThreadPoolExecutor() as threads:  # another thread
            third = threads.submit(load_backbone, str(folder)).result()
    for whole in (beside, third, load_backbone(str(folder))):
        assert getattr(transformer_blocks(whole)[0], ATTENTION).num_heads == 2
    assert keras.layers.MultiHeadAttention.__init__ is made


def test_a_run_that_transformers_must_read_is_refused_before_the_work():
    export = {"formats": ["saved_model", "huggingface"]}
    data = {"train": "train.csv", "columns": {"text": "text", "label": "label"}}
    values = {"name": "tiny", "task": {"name": "text_classification"}, "model": {"preset": "p"}, "data": data}
    method = Heads(HeadsConfig.model_validate({"method": "heads", "name": "thin"}))
    method.check(Run(Path("runs/tiny"), Config.model_validate(values)))
    with pytest.raises(UserError, match="method=heads: runs/tiny has export.formats: huggingface"):
        method.check(Run(Path("runs/tiny"), Config.model_validate({**values, "export": export})))
