"""The masked language model by itself: its head, its presets, `fit`, and what a server is asked."""

import json

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from kerasft.errors import UserError
from kerasft.models.heads.masked_lm import MaskedLM, condense, fill, masked_lm_loss
from kerasft.models.preprocessing.masked_lm_preprocessor import masked_lm_preprocessor
from kerasft.models.presets.masked_lm_weights import load_head
from kerasft.models.presets.presets import save_preset
from kerasft.models.tokenizers.encoder import token_encoder
from kerasft.models.tokenizers.vocabulary import Vocabulary

FAMILIES = pytest.mark.parametrize("name", ["bert", "distil_bert", "electra", "roberta"])


@FAMILIES
def test_logits_are_those_of_the_whole_row_at_the_masks(name, make_backbone, tiny_tokenizer):
    backbone = make_backbone(name)
    model = MaskedLM(backbone)
    length = 9
    inputs = {key: np.ones((2, length), np.int32) for key in backbone.input}
    inputs["token_ids"] = np.random.default_rng(0).integers(5, 90, (2, length)).astype(np.int32)
    everywhere = model({**inputs, "mask_positions": np.tile(np.arange(length, dtype=np.int32), (2, 1))})
    some = model({**inputs, "mask_positions": np.array([[3, 0], [8, 5]], np.int32)})
    assert everywhere.shape == (2, length, tiny_tokenizer(name).vocabulary_size())
    np.testing.assert_allclose(some[0], tf.gather(everywhere[0], [3, 0]), atol=1e-5)
    np.testing.assert_allclose(some[1], tf.gather(everywhere[1], [8, 5]), atol=1e-5)
    # tied: the output layer adds a bias only
    assert sum(weight.shape[0] == everywhere.shape[-1] for weight in model.weights) == 2


@FAMILIES
def test_masks_in_a_text_are_found(name, make_backbone, tiny_tokenizer):
    preprocessor = masked_lm_preprocessor(make_backbone(name), tiny_tokenizer(name), 16)
    mask = preprocessor.vocabulary.mask_token
    assert mask in ("[MASK]", "<mask>")
    texts = [f"the quick {mask} fox {mask}", "none", "", mask * 20]
    found = tf.function(preprocessor, autograph=False)({"text": tf.constant(texts)})
    assert found["masks"].numpy().tolist() == [2, 0, 0, 14]
    ids = found["token_ids"].numpy()
    for row, count in enumerate(found["masks"].numpy()):
        places = found["mask_positions"].numpy()[row][:count]
        assert (ids[row][places] == preprocessor.vocabulary.mask_id).all()
    assert tf.function(preprocessor, autograph=False)({"text": tf.constant(["none"])})["mask_positions"].shape == (1, 0)


@FAMILIES
def test_special_tokens_and_texts_of_a_vocabulary(name, tiny_tokenizer):
    vocabulary = Vocabulary(tiny_tokenizer(name))
    special = {vocabulary.tokens[number] for number in np.flatnonzero(~vocabulary.ordinary)}
    # <unk> is a token that byte-level BPE never gives
    assert special == ({"<s>", "<pad>", "</s>", "<mask>"} if name == "roberta" else set(BERT))
    assert vocabulary.tokens[vocabulary.mask_id] == vocabulary.mask_token
    ids = tf.function(token_encoder(tiny_tokenizer(name)), autograph=False)(tf.constant(["the quick brown fox"]))
    assert vocabulary.text(ids.to_list()[0]).split() == "the quick brown fox".split()


BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def test_loss_is_the_mean_over_the_hidden_tokens_of_a_row():
    logits = np.random.default_rng(0).normal(size=(3, 2, 7)).astype(np.float32)
    targets = np.array([[3, 6], [1, -1], [-1, -1]], np.int32)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = [-(logs[0, 0, 3] + logs[0, 1, 6]) / 2, -logs[1, 0, 1], 0.0]
    np.testing.assert_allclose(masked_lm_loss(tf.constant(targets), tf.constant(logits)), expected, rtol=1e-5)
    kept = condense(tf.constant(targets), tf.constant(logits)).numpy()
    np.testing.assert_allclose(kept[0, :, 0], [logs[0, 0, 3], logs[0, 1, 6]], rtol=1e-5)
    np.testing.assert_array_equal(kept[..., 6:].astype(int), np.argsort(-logits, -1)[..., :5])


def test_fills_are_the_likeliest_ordinary_tokens_and_nothing_beyond_the_masks(tiny_tokenizer):
    vocabulary = Vocabulary(tiny_tokenizer("bert"))
    width = len(vocabulary.tokens) + 2  # the table is longer than the vocabulary
    logits = np.zeros((2, 2, width), np.float32)
    logits[..., [2, width - 1, 9, 7, 8]] = [9.0, 8.0, 3.0, 2.0, 1.0]  # a special token, none, and three ordinary ones
    found = fill(tf.constant(logits), tf.constant([1, 0]), vocabulary, 3)
    names = [vocabulary.tokens[number].encode() for number in (9, 7, 8)]
    assert found["fills"].numpy().tolist() == [[names, [b""] * 3], [[b""] * 3] * 2]
    ordinary = np.exp(logits[0, 0, :-2])[vocabulary.ordinary].sum()
    np.testing.assert_allclose(found["scores"][0, 0], np.exp([3.0, 2.0, 1.0]) / ordinary, rtol=1e-5)
    assert not found["scores"].numpy()[0, 1].any() and not found["scores"].numpy()[1].any()


@pytest.mark.long
def test_fit_without_the_command_line(tiny_preset):
    model = MaskedLM.from_preset(str(tiny_preset), max_length=16)
    texts = ["goal goal goal goal goal goal", "bank bank bank bank bank bank"] * 40
    batches = model.batches(texts, batch_size=8, whole_word=True, across=False)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=loss)
    history = model.fit(batches, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0] / 2
    seen = [batches[0][0]["token_ids"] for _ in range(2)]
    np.testing.assert_array_equal(*seen)
    batches.on_epoch_end()
    assert batches[0][0]["token_ids"].shape != seen[0].shape or (batches[0][0]["token_ids"] != seen[0]).any()


def test_bfloat16_gives_float32_logits(tiny_bert):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = MaskedLM(tiny_bert())
    finally:
        keras.config.set_dtype_policy("float32")
    inputs = {name: np.ones((2, 5), np.int32) for name in model.input}
    assert model(inputs).dtype == "float32"


HEADS = {
    "bert": ("cls.predictions.transform.dense.", "cls.predictions.transform.LayerNorm.", "cls.predictions.bias"),
    "roberta": ("lm_head.dense.", "lm_head.layer_norm.", "lm_head.bias"),
    "distil_bert": ("vocab_transform.", "vocab_layer_norm.", "vocab_projector.bias"),
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", sorted(HEADS))
def test_the_head_of_a_hugging_face_checkpoint_is_taken(name, old, tmp_path, tiny_bert):
    model, (dense, norm, bias) = MaskedLM(tiny_bert()), HEADS[name]
    random = np.random.default_rng(0)
    value = lambda *shape: random.normal(size=shape).astype(np.float32)  # noqa: E731
    scale, offset = ("gamma", "beta") if old and name == "bert" else ("weight", "bias")
    saved = {f"{dense}weight": value(16, 16), f"{dense}bias": value(16), f"{norm}{scale}": value(16)}
    saved |= {f"{norm}{offset}": value(16), bias: value(100), "embeddings.else": value(2)}
    save_file(saved, tmp_path / "model.safetensors")
    assert load_head(model, str(tmp_path))
    x = value(1, 3, 16)
    head = model.get_layer("masked_lm_head")
    y = x @ saved[f"{dense}weight"].T + saved[f"{dense}bias"]
    y = keras.activations.gelu(y, approximate=False).numpy()
    y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-12)
    y = y * saved[f"{norm}{scale}"] + saved[f"{norm}{offset}"]
    y = y @ np.array(head.token_embedding.embeddings).T + saved[bias]
    np.testing.assert_allclose(head(x, np.arange(3, dtype=np.int32)[None]), y, rtol=1e-3, atol=1e-4)


def test_a_preset_without_a_head_and_one_of_another_size(tmp_path, tiny_preset, tiny_bert):
    model = MaskedLM(tiny_bert())
    assert not load_head(model, str(tiny_preset))
    dense, norm, bias = HEADS["bert"]
    saved = {f"{dense}weight": (8, 8), f"{dense}bias": (8,), f"{norm}weight": (8,), f"{norm}bias": (8,), bias: (100,)}
    save_file({key: np.zeros(shape, np.float32) for key, shape in saved.items()}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="its masked language model head has the shapes"):
        load_head(model, str(tmp_path))


def test_a_saved_preset_opens_in_keras_hub_itself(tmp_path, tiny_tokenizer, make_backbone):
    save_preset(make_backbone("bert"), tiny_tokenizer("bert"), str(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text())["registered_name"].endswith("BertBackbone")
    assert isinstance(keras_hub.models.MaskedLM.from_preset(str(tmp_path)), keras_hub.models.BertMaskedLM)
