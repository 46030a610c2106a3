"""Scores of each method against what they are by hand, on tiny models."""

import json
import shutil
import types

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from support.decoders import MAKERS, strengthened
from support.small_presets import small_presets  # noqa: F401
from support.tiny_bert import WORDS

from kerasft.config.load import read_config
from kerasft.errors import UserError
from kerasft.models.heads.causal_lm import CausalLM
from kerasft.models.heads.masked_lm import MaskedLM
from kerasft.models.heads.text_classifier import build_classifier
from kerasft.models.heads.text_embedder import TextEmbedder
from kerasft.models.named_weights import by_path, save_variables
from kerasft.models.preprocessing.preprocessor import text_preprocessor
from kerasft.models.presets.facts import FACTS, HEAD_FILE
from kerasft.models.presets.masked_lm_weights import HEAD
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.prompting.base import Labels
from kerasft.prompting.calibration import LabelBias, calibrate
from kerasft.prompting.causal_lm import Continuation, LabelLikelihoods
from kerasft.prompting.demonstrations import Example, demonstrations
from kerasft.prompting.embedding import Embedding
from kerasft.prompting.entailment import OF_HEAD, Entailment
from kerasft.prompting.masked_lm import Cloze
from kerasft.prompting.registry import suitable_method
from kerasft.prompting.scoring import outputs_of

LABELS = Labels(["sport", "money"], [["goal match"], ["bank"]])  # texts of two tokens and of one
TEXTS = ["the match", "a price of stock in the market and trade", "", "score [MASK] coach"]


def config_of(preset, **prompting):
    return read_config(
        {
            "name": "n",
            "task": {"name": "text_classification", "labels": LABELS.names},
            "model": {"preset": str(preset), "max_length": 24},
            "data": {"columns": {"text": "text"}},
            "prompting": prompting,
        }
    )


def made(kind, preset, **prompting):
    """A method with its model and preprocessor, its own layers random."""
    keras.utils.set_random_seed(1)
    backbone, tokenizer = load_backbone(str(preset), dropout=0.0), load_tokenizer(str(preset))
    method = kind(config_of(preset, **prompting), ("text",), {})
    method.adapt(backbone, tokenizer, LABELS)
    model = method.build(backbone, 2)
    return types.SimpleNamespace(
        method=method,
        model=model,
        backbone=backbone,
        tokenizer=tokenizer,
        prep=method.preprocessor(backbone, tokenizer),
    )


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def test_an_embedding_head_is_cosines_by_hand(tiny_preset):
    one = made(Embedding, tiny_preset, template="the {label}", temperature=0.1)
    one.method.load(one.model, str(tiny_preset), one.prep, LABELS)
    given = outputs_of(one.model, one.prep, {"text": TEXTS})
    embedder = TextEmbedder(one.backbone, preprocessor=one.prep)
    read = tf.function(lambda texts: embedder(embedder.preprocess(texts)))
    vectors = read(tf.constant(TEXTS)).numpy()
    labels = read(tf.constant(["the goal match", "the bank"])).numpy()
    np.testing.assert_allclose(given, vectors @ labels.T / 0.1, atol=1e-4)


@pytest.mark.parametrize("score", ["sum", "mean"])
def test_a_cloze_asks_for_as_many_masks_as_a_text_has_tokens(tiny_preset, score):
    one = made(Cloze, tiny_preset, template="{text} of the {mask} .", score=score)
    one.model.get_layer("label_bias").bias.assign([0.25, 0.0])
    plain = MaskedLM(one.backbone)
    for mine, other in zip(plain.get_layer(HEAD).weights, one.model.get_layer(HEAD).weights):
        mine.assign(other)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    ids = {word: number for number, word in enumerate(words)}
    given = outputs_of(one.model, one.prep, {"text": TEXTS})
    for text, row in zip(TEXTS, given):
        tokens = [ids["[UNK]" if word == "[MASK]" else word] for word in text.split()][: 24 - 7]
        scores = []
        for label in (["goal", "match"], ["bank"]):
            if "." not in ids:  # the tiny vocabulary has none: it is unknown
                ids["."] = ids["[UNK]"]
            before = [ids["[CLS]"], *tokens, ids["of"], ids["the"]]
            prompt = [*before, *[ids["[MASK]"]] * len(label), ids["."], ids["[SEP]"]]
            features = {"token_ids": [prompt], "padding_mask": [[1] * len(prompt)], "segment_ids": [[0] * len(prompt)]}
            features["mask_positions"] = [list(range(len(before), len(before) + len(label)))]
            logits = plain({name: tf.constant(value) for name, value in features.items()}).numpy()
            each = [log_softmax(logits)[0, place, ids[word]] for place, word in enumerate(label)]
            scores.append(np.mean(each) if score == "mean" else np.sum(each))
        np.testing.assert_allclose(row, np.add(scores, [0.25, 0.0]), atol=1e-4)


@pytest.mark.parametrize("family", MAKERS)
def test_label_texts_behind_one_prompt_are_scored_as_each_by_itself(family):
    backbone = strengthened(MAKERS[family]())
    random = np.random.default_rng(0)
    labels = [[[3, 4, 5]], [[3, 4], [6]], [[7]]]
    model, plain = LabelLikelihoods(backbone, labels, mean=False), CausalLM(backbone)
    prompts = [np.array([9, 4, *random.integers(0, 50, size)]) for size in (0, 5, 3)]
    rows = np.zeros((3, 7), np.int32)
    for row, prompt in zip(rows, prompts):
        row[: len(prompt)] = prompt
    mask = (np.arange(7) < np.array([[2], [7], [5]])).astype(np.int32)
    given = model({"token_ids": tf.constant(rows), "padding_mask": tf.constant(mask)}).numpy()

    def score(prompt, text):
        whole = np.concatenate([prompt, text])[None]
        logits = plain({"token_ids": tf.constant(whole), "padding_mask": tf.ones_like(whole)}).numpy()[0]
        each = log_softmax(logits)[np.arange(len(prompt) - 1, whole.shape[1] - 1), text]
        return each.sum()

    for prompt, row in zip(prompts, given):
        by_hand = [np.mean([score(prompt, text) for text in own]) for own in labels]
        np.testing.assert_allclose(row, by_hand, atol=1e-3)
    once = LabelLikelihoods(backbone, labels, mean=False, shared=[9, 4])  # what all prompts begin with, read once
    again = once({"token_ids": tf.constant(rows), "padding_mask": tf.constant(mask)}).numpy()
    np.testing.assert_allclose(again, given, atol=1e-3)


def test_calibrated_scores_of_a_text_that_says_nothing_are_uniform():
    random = np.random.default_rng(0)
    scores = {"": random.normal(size=3), "N/A": random.normal(size=3)}
    bias = calibrate(lambda texts: np.stack([scores[text] for text in texts]), [""], prior=False)
    odds = np.exp(scores[""] + bias)
    np.testing.assert_allclose(odds / odds.sum(), np.full(3, 1 / 3), atol=1e-6)
    both = calibrate(lambda texts: np.stack([scores[text] for text in texts]), ["", "N/A"], prior=False)
    mean = np.mean([np.exp(each) / np.exp(each).sum() for each in scores.values()], axis=0)
    np.testing.assert_allclose(np.exp(both), 1 / mean, rtol=1e-5)
    centred = calibrate(lambda texts: np.stack([scores[text] for text in texts]), ["", "N/A"], prior=True)
    np.testing.assert_allclose(centred, -log_softmax(np.stack([*scores.values()])).mean(0), atol=1e-6)
    layer = LabelBias()
    layer.build((None, 3))
    layer.bias.assign(bias)
    np.testing.assert_allclose(np.asarray(layer(scores[""][None].astype(np.float32)))[0], scores[""] + bias, atol=1e-6)


def test_an_answer_is_the_same_alone_and_beside_others(tiny_preset, small_presets):  # noqa: F811
    for kind, preset in ((Cloze, tiny_preset), (Continuation, small_presets / "decoder")):
        one = made(kind, preset, template="{text}\nthe " + ("{mask}" if kind is Cloze else "{label}"))
        every = outputs_of(one.model, one.prep, {"text": TEXTS})
        alone = np.concatenate([outputs_of(one.model, one.prep, {"text": [text]}) for text in TEXTS])
        np.testing.assert_allclose(every, alone, atol=1e-4)


def test_a_prompt_of_a_decoder_has_the_tokens_of_the_whole_text(small_presets):  # noqa: F811
    one = made(Continuation, small_presets / "decoder", template="a dog: {text}\nthe {label}")
    features = tf.function(one.prep)({"text": tf.constant([" the fox "])})
    encode = tf.function(lambda texts: one.prep.encoder(texts))
    whole = encode(tf.constant(["a dog: the fox\nthe"])).to_list()[0]
    np.testing.assert_array_equal(features["token_ids"][0], whole)
    assert one.method.state["label_ids"] == [
        encode(tf.constant([f" {text}"])).to_list() for text in ("goal match", "bank")
    ]


def test_whole_examples_stand_before_the_prompt_as_many_as_half_a_row_takes(small_presets, tmp_path):  # noqa: F811
    rows = [{"text": f"{word} fox", "label": label} for word in "ab" for label in LABELS.names]
    for split, part in (("train", rows), ("test", rows[:1])):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    config = config_of(small_presets / "decoder", method="causal_lm", template="{text} is {label}")
    values = config.model_dump(mode="python")
    values["prompting"]["demonstrations"] = 2
    values["data"] |= {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "test")}
    values["data"]["columns"] = {"text": "text", "label": "label"}
    values["model"]["max_length"] = 48
    keras.utils.set_random_seed(1)
    backbone, tokenizer = (load(str(small_presets / "decoder")) for load in (load_backbone, load_tokenizer))
    method = Continuation(read_config(values), ("text",), {})
    method.adapt(backbone, tokenizer, LABELS)
    chosen = [each for each in demonstrations(read_config(values), ("text",), LABELS.names)]
    texts = dict(zip(LABELS.names, [own[0] for own in LABELS.texts]))
    filled = [f"{each.texts[0]} is {texts[each.label]}\n\n" for each in chosen]
    fitting = method.state["examples"]
    assert 1 <= len(fitting) <= 2 and fitting == filled[: len(fitting)]
    assert Example(("a fox",), "sport") not in chosen  # it stands in test
    assert {each.label for each in chosen} == set(LABELS.names)


def test_examples_that_are_like_the_text_stand_before_it_the_most_alike_last(small_presets, tmp_path):  # noqa: F811
    texts = ["the quick fox", "a lazy cat", "a dog and a dog", "the brown fox"]
    rows = [{"text": text, "label": LABELS.names[row % 2]} for row, text in enumerate(texts)]
    for split, part in (("train", rows), ("test", rows[3:])):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    config = config_of(small_presets / "decoder", method="causal_lm", template="{text} is {label}")
    values = config.model_dump(mode="python")
    values["prompting"] |= {"demonstrations": 2, "choose": "similarity"}
    values["data"] |= {split: str(tmp_path / f"{split}.jsonl") for split in ("train", "test")}
    values["data"]["columns"] = {"text": "text", "label": "label"}
    values["model"]["max_length"] = 96
    tokenizer = load_tokenizer(str(small_presets / "decoder"))
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=tokenizer.vocabulary_size(), num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=8,
        max_sequence_length=96,
    )  # fmt: skip
    method = Continuation(read_config(values), ("text",), {})
    method.adapt(backbone, tokenizer, LABELS)
    preprocessor = Continuation(read_config(values), ("text",), method.state).preprocessor(backbone, tokenizer)
    read = tf.function(lambda texts: preprocessor({"text": texts}), autograph=False)
    asked = ["dog dog dog and the quick", "the quick quick fox", "lazy"]
    features = read(tf.constant(asked))
    expected = [
        "the quick fox is goal match\n\na dog and a dog is goal match\n\ndog dog dog and the quick is",
        "the quick fox is goal match\n\nthe quick quick fox is",
        "a lazy cat is bank\n\nlazy is",
    ]
    for row, text in enumerate(asked):
        ids, count = features["token_ids"][row].numpy(), int(features["padding_mask"][row].numpy().sum())
        said = tokenizer.detokenize(ids[:count])
        said = said if isinstance(said, str) else said.numpy().decode()
        assert said.endswith(expected[row]) and "brown" not in said  # which stands in test
        assert said.count("\n\n") == 2
        alone = read(tf.constant([text]))["token_ids"][0, :count]
        np.testing.assert_array_equal(alone, ids[:count])
        whole = preprocessor.encoder(tf.constant([said])).to_list()[0]
        np.testing.assert_array_equal(ids[count - len(whole) : count], whole)  # the tokens of the whole prompt
    with pytest.raises(UserError, match="similarity has other tokens before each text"):
        preprocessor.token_offsets({"text": tf.constant(asked)})


def test_a_classifier_of_pairs_says_what_follows_from_a_text(tiny_preset, tmp_path):
    names, folder = ["contradiction", "neutral", "entailment"], tmp_path / "run" / "model"
    shutil.copytree(tiny_preset, folder)
    (tmp_path / "run" / "config.yaml").write_text("task: {pooling: cls}\ndata: {columns: {text: a, text_pair: b}}\n")
    (folder / FACTS).write_text(json.dumps({"task": "text_classification", "state": {"labels": names}}))
    keras.utils.set_random_seed(3)
    backbone = load_backbone(str(folder), dropout=0.0)
    pairs = build_classifier(backbone, 3, "cls")
    strengthened(pairs)
    backbone.save_weights(folder / "model.weights.h5")
    own = {path: weight for path, weight in by_path(pairs.weights).items() if path.split("/")[0] in OF_HEAD}
    save_variables(folder / HEAD_FILE, own)
    assert suitable_method(config_of(folder), backbone, str(folder)) == "entailment"
    one = made(Entailment, folder, method="entailment", template="the {label}")
    one.method.load(one.model, str(folder), one.prep, LABELS)
    one.backbone.set_weights(backbone.get_weights())
    texts = ["the match", "", "a price of stock in the market and trade"]
    found = outputs_of(one.model, one.prep, {"text": texts})
    plain = text_preprocessor(backbone, one.tokenizer, 64, ("text", "text_pair"))
    for column, label in enumerate(["goal match", "bank"]):
        features = plain({"text": tf.constant(texts), "text_pair": tf.constant([f"the {label}"] * 3)})
        by_hand = tf.nn.log_softmax(pairs(features))[:, 2]
        np.testing.assert_allclose(found[:, column], by_hand, atol=1e-4)
    np.testing.assert_allclose(found[:1], outputs_of(one.model, one.prep, {"text": texts[:1]}), atol=1e-5)
    with pytest.raises(UserError, match="prompting.entails: 'yes' is no label of .* which has 'contradiction'"):
        made(Entailment, folder, method="entailment", entails="yes")
    with pytest.raises(UserError, match="asks a run of ours that classifies pairs"):
        made(Entailment, tiny_preset, method="entailment")


def test_a_cloze_takes_the_head_of_a_masked_lm_run(tiny_preset, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_preset, folder)
    own = MaskedLM(load_backbone(str(folder)))
    tied = {id(variable) for variable in own.get_layer(HEAD).token_embedding.variables}
    head = [variable for variable in own.get_layer(HEAD).weights if id(variable) not in tied]
    for variable in head:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    save_variables(folder / "head.weights.npz", by_path(head))
    (folder / FACTS).write_text(json.dumps({"task": "masked_lm", "state": {}}))
    one = made(Cloze, folder)
    one.method.load(one.model, str(folder), one.prep, LABELS)
    others = [variable for variable in one.model.get_layer(HEAD).weights if "embedding" not in variable.path]
    for mine, saved in zip(others, head):
        np.testing.assert_array_equal(mine, saved)
    assert suitable_method(config_of(folder), one.backbone, str(folder)) == "masked_lm"
    with pytest.raises(UserError, match="has no head of a masked language model"):
        one.method.load(one.model, str(tiny_preset), one.prep, LABELS)
