"""A tokenizer's graph is made once, whoever calls it."""

import time

import keras_hub
import tensorflow as tf

from kerasft.models.preprocessing.preprocessor import text_preprocessor
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.models.tokenizers.encoder import token_encoder
from kerasft.models.tokenizers.traced import Kept, graph_seconds, traced_once


def test_graphs_of_other_shapes_share_one_trace():
    traces = []

    def lengths(text):
        traces.append(text.shape)
        return tf.strings.length(text)

    once = traced_once(lengths)
    graphs = [
        tf.function(lambda text: once(text), autograph=False),
        tf.function(lambda text: once(tf.concat([text, text], 0)), autograph=False),
    ]
    for texts in (["a"], ["a", "bcd"]):
        for graph in graphs:
            assert graph(tf.constant(texts))[: len(texts)].numpy().tolist() == [len(text) for text in texts]
    tf.data.Dataset.from_tensor_slices(["x"]).batch(1).map(once)
    assert traces == [tf.TensorShape([None])]


def test_what_building_the_graph_took_is_known():
    def slow(text):
        time.sleep(0.05)
        return tf.strings.length(text)

    once, before = traced_once(slow), graph_seconds()
    assert once(tf.constant(["a"])).numpy().tolist() == [1]
    spent = graph_seconds() - before
    once(tf.constant(["b"]))
    assert spent >= 0.05 and graph_seconds() - before == spent


def test_an_encoder_is_traced_once(monkeypatch):
    from kerasft.models.tokenizers.wordpiece import WordPieceEncoder

    traces, encode = [], WordPieceEncoder._encode
    monkeypatch.setattr(WordPieceEncoder, "_encode", lambda self, text: traces.append(1) or encode(self, text))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "goal", "a", "match", "of this test alone"]
    encoder = token_encoder(keras_hub.models.BertTokenizer(vocabulary, lowercase=True))
    found = [
        tf.function(lambda text: encoder(text), autograph=False)(tf.constant(texts))
        for texts in (["goal"], ["goal", "a match"])
    ]
    assert found[0].to_list()[0] == found[1].to_list()[0] and len(traces) == 1


def test_tokenizers_that_are_alike_share_an_encoder_and_others_do_not():
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "goal"]
    make = lambda *more: keras_hub.models.BertTokenizer([*words, *more], lowercase=True)  # noqa: E731
    encoder = token_encoder(make("match"))
    assert token_encoder(make("match")) is encoder
    assert token_encoder(make("coach")) is not encoder
    cased = keras_hub.models.BertTokenizer([*words, "match"], lowercase=False)
    assert token_encoder(cased)(tf.constant(["Goal"])).to_list() != encoder(tf.constant(["Goal"])).to_list()


def test_an_encoder_that_was_made_within_a_graph_outlives_it():
    tokenizer = keras_hub.models.BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "within"])
    made = []

    @tf.function(autograph=False)
    def ids(text):
        made.append(token_encoder(tokenizer))
        return made[0](text).flat_values

    assert ids(tf.constant(["within"])).numpy().tolist() == [5]
    assert made[0](tf.constant(["within"])).to_list() == [[5]]


def test_only_the_last_are_kept():
    kept, made = Kept(most=2), []

    def make(name):
        return kept.get(name, lambda: made.append(name) or name)

    assert [make(name) for name in "aabacab"] == list("aabacab")
    assert made == ["a", "b", "c", "b"]  # a was asked for again before c came, so b went


def test_a_preprocessor_that_is_changed_does_not_read_as_before(tiny_preset):
    backbone, tokenizer = load_backbone(str(tiny_preset)), load_tokenizer(str(tiny_preset))
    first, second = (text_preprocessor(backbone, tokenizer, 16) for _ in range(2))
    before = first({"text": tf.constant(["goal"])})["token_ids"].numpy()
    second.layout = second.layout._replace(start=(*second.layout.start, 7))
    assert second({"text": tf.constant(["goal"])})["token_ids"].numpy().tolist() == [[2, 7, *before[0, 1:]]]
    assert first({"text": tf.constant(["goal"])})["token_ids"].numpy().tolist() == before.tolist()
