"""A tokenizer's graph is made once, whoever calls it."""

import time

import tensorflow as tf

from kerasft.models.tokenizers.encoder import token_encoder
from kerasft.models.tokenizers.traced import graph_seconds, traced_once


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


def test_an_encoder_is_traced_once(tiny_preset, monkeypatch):
    from kerasft.models.presets.presets import load_tokenizer
    from kerasft.models.tokenizers.wordpiece import WordPieceEncoder

    traces, encode = [], WordPieceEncoder._encode
    monkeypatch.setattr(WordPieceEncoder, "_encode", lambda self, text: traces.append(1) or encode(self, text))
    encoder = token_encoder(load_tokenizer(str(tiny_preset)))
    found = [
        tf.function(lambda text: encoder(text), autograph=False)(tf.constant(texts))
        for texts in (["goal"], ["goal", "a match"])
    ]
    assert found[0].to_list()[0] == found[1].to_list()[0] and len(traces) == 1
