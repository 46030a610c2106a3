"""A Llama out of a GGUF file computes what its weights say, and is the same after a run saved it."""

import numpy as np
import pytest
import tensorflow as tf
from tiny_gguf import SMOLLM, llama_logits, vocabulary, write_gguf

from kerasft.models.heads.causal_lm import CausalLM
from kerasft.models.preprocessing.prompt_preprocessor import prompt_preprocessor
from kerasft.models.presets.gguf_llama import gguf_backbone, gguf_tokenizer
from kerasft.models.presets.presets import load_backbone, load_tokenizer, resolve_preset, save_preset
from kerasft.models.tokenizers.encoder import token_encoder

IDS = [5, 80, 3, 200, 17, 17, 260, 4]


def logits(backbone, ids=IDS) -> np.ndarray:
    row = np.array([ids], np.int32)
    return CausalLM(backbone)({"token_ids": row, "padding_mask": np.ones_like(row)}).numpy()[0]


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_1", "Q4_0"])
def test_logits_are_those_of_the_weights(kind, tmp_path):
    weights = write_gguf(tmp_path / "a.gguf", kind)
    ours = logits(load_backbone(resolve_preset(f"gguf:{tmp_path}/a.gguf"), dtype="float32"))
    wanted = llama_logits(weights, IDS)
    np.testing.assert_allclose(ours, wanted, atol=1e-4 * np.abs(wanted).max())


def test_an_output_layer_of_its_own(tmp_path):
    weights = write_gguf(tmp_path / "a.gguf", tied=False)
    ours, wanted = logits(gguf_backbone(str(tmp_path / "a.gguf"), None, True)), llama_logits(weights, IDS)
    np.testing.assert_allclose(ours, wanted, atol=1e-4 * np.abs(wanted).max())


def test_saved_by_a_run_it_is_the_same(tmp_path):
    write_gguf(tmp_path / "a.gguf", "Q8_0")
    path = str(tmp_path / "a.gguf")
    backbone, tokenizer = load_backbone(path), load_tokenizer(path)
    save_preset(backbone, tokenizer, str(tmp_path / "model"))
    resolved = resolve_preset(str(tmp_path / "model"))
    np.testing.assert_array_equal(logits(load_backbone(resolved)), logits(backbone))
    texts = ["the 123 the<|im_end|>\n", "x 12"]
    again = tf.function(token_encoder(load_tokenizer(resolved)), autograph=False)
    assert (
        again(tf.constant(texts)).to_list()
        == tf.function(token_encoder(tokenizer), autograph=False)(tf.constant(texts)).to_list()
    )
    ids = {token: number for number, token in enumerate(vocabulary())}
    said = ["the", "Ġ", "1", "2", "3", "Ġ", "the", "<|im_end|>", "Ċ"]
    assert again(tf.constant(texts)).to_list()[0] == [ids[token] for token in said]


def test_other_weights_where_none_are_wanted(tmp_path):
    write_gguf(tmp_path / "a.gguf")
    path = str(tmp_path / "a.gguf")
    random = load_backbone(path, load_weights=False)
    assert np.abs(logits(random) - logits(load_backbone(path))).max() > 0.1


@pytest.mark.parametrize("begins", [True, False])
def test_a_prompt_begins_as_the_file_says(begins, tmp_path):
    write_gguf(tmp_path / "a.gguf", metadata={"tokenizer.ggml.add_bos_token": begins})
    path = str(tmp_path / "a.gguf")
    preprocessor = prompt_preprocessor(load_backbone(path), gguf_tokenizer(path), 16)
    the = vocabulary().index("the")
    found = preprocessor({"prompt": tf.constant(["the"])})["token_ids"].numpy().tolist()
    assert found == ([[1, the]] if begins else [[the]])
    assert preprocessor.pairs(np.array([the])).tolist() == [[1 if begins else 2, the], [the, 2]]


@pytest.fixture(scope="module")
def smollm() -> str:
    return resolve_preset(SMOLLM)


@pytest.mark.real
@pytest.mark.long
def test_smollm_knows_a_capital(smollm):
    backbone = load_backbone(smollm, dtype="float32")
    config = backbone.get_config()
    assert (config["rope_max_wavelength"], round(config["layer_norm_epsilon"], 9)) == (100000.0, 1e-5)
    encode = tf.function(token_encoder(load_tokenizer(smollm)), autograph=False)
    ids = encode(tf.constant(["The capital of France is"])).to_list()[0]
    assert gguf_tokenizer(smollm).id_to_token(int(logits(backbone, ids)[-1].argmax())) == "ĠParis"
