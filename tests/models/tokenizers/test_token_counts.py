"""Tokens and unknown tokens of texts, by every kind of tokenizer, at a cost that no text can raise."""

import types

import pytest
import sentencepiece
import tensorflow as tf

from kerasft.models.tokenizers.encoder import token_encoder
from kerasft.models.tokenizers.token_counts import CHARACTERS, token_counts

TEXTS = ["the quick fox", "", "\u4e16\u754c the \U0001f40d", "the  the\u0000the"]
PAIRS = ["a", "\u4e16", "", "the fox"]


def counted(tokenizer, **columns):
    preprocessor = types.SimpleNamespace(encoder=token_encoder(tokenizer), inputs=tuple(columns))
    count = tf.function(lambda given: token_counts(preprocessor, given), autograph=False)
    found = count({name: tf.constant(texts) for name, texts in columns.items()})
    return {name: values.numpy().tolist() for name, values in found.items()}


@pytest.mark.parametrize("family", ["albert", "deberta_v3", "xlm_roberta"])
def test_sentence_piece(tiny_tokenizer, family):
    tokenizer = tiny_tokenizer(family)
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.proto)
    ids = processor.encode(TEXTS)
    unknown = [row.count(processor.unk_id()) for row in ids]
    assert counted(tokenizer, text=TEXTS) == {"tokens": list(map(len, ids)), "unknown": unknown}
    assert unknown[2] > 0


def test_wordpiece(reference):
    # Of one training: another on the same sentences may break ties in another way.
    tokenizer, ids = reference("uncased").keras_tokenizer, reference("uncased").ours(TEXTS)
    unknown = wordpiece_unknown(tokenizer)
    found = counted(tokenizer, text=TEXTS)
    assert found == {"tokens": list(map(len, ids)), "unknown": [row.count(unknown) for row in ids]}
    assert found["unknown"] == [0, 0, 3, 0]


def wordpiece_unknown(tokenizer):
    return tokenizer.get_vocabulary().index("[UNK]")


def test_bytes_have_no_unknown_tokens(reference):
    tokenizer, ids = reference("roberta").keras_tokenizer, reference("roberta").ours(TEXTS)
    assert counted(tokenizer, text=TEXTS) == {"tokens": list(map(len, ids))}


def test_a_pair_counts_together(tiny_tokenizer):
    tokenizer = tiny_tokenizer("bert")
    both, first, second = (
        counted(tokenizer, text=TEXTS, text_pair=PAIRS), counted(tokenizer, text=TEXTS), counted(tokenizer, text=PAIRS),
    )  # fmt: skip
    for name in ("tokens", "unknown"):
        assert both[name] == [a + b for a, b in zip(first[name], second[name])]


def test_no_text_costs_more_than_its_first_characters(tiny_tokenizer):
    long = "\u4e16" * 100_000
    assert counted(tiny_tokenizer("bert"), text=[long])["tokens"] == [CHARACTERS]
    assert counted(tiny_tokenizer("bert"), text=["the " * 100_000])["tokens"] == [CHARACTERS // 4]
