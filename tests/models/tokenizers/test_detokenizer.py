"""Ids back to text: what went in comes out, and what is no UTF-8 is seen to be none."""

import pytest
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.tokenizers.detokenizer import NO_TOKEN, Detokenizer
from kerasft.models.tokenizers.encoder import token_encoder

TEXTS = [
    "The quick brown fox, doesn't it? 12345 times!",
    "Ein schöner Straßenname\n\n  and  spaces ",
    "我们在北京大学学习中文 😀👍🏽",
    "",
]


@pytest.mark.parametrize("name", ["gpt2", "llama3"])
def test_texts_come_back_from_their_tokens(name, tiny_tokenizer):
    tokenizer = tiny_tokenizer(name)
    detokenizer = Detokenizer(tokenizer, tokenizer.vocabulary_size() + 3)
    encode = tf.function(token_encoder(tokenizer), autograph=False)
    ids = encode(tf.constant(TEXTS))
    back = tf.function(detokenizer, autograph=False)(ids.to_tensor(NO_TOKEN)).numpy().tolist()
    assert back == [text.encode() for text in TEXTS]
    assert [detokenizer.text(row) for row in ids.to_list()] == TEXTS
    assert not detokenizer.ordinary[-3:].any() and not detokenizer.special[-3:].any()


def test_half_a_character_becomes_a_replacement_character(tiny_tokenizer):
    tokenizer = tiny_tokenizer("gpt2")
    detokenizer = Detokenizer(tokenizer, tokenizer.vocabulary_size())
    lead, letter = detokenizer.token_bytes.index("é".encode()[:1]), detokenizer.token_bytes.index(b"a")
    assert detokenizer(tf.constant([[lead, NO_TOKEN], [lead, letter]])).numpy().tolist() == [
        "\ufffd".encode(),
        "\ufffda".encode(),
    ]
    assert detokenizer.text([lead]) == "\ufffd"


def test_other_tokenizers_are_refused(tiny_tokenizer):
    with pytest.raises(UserError, match="texts are not written with a BertTokenizer"):
        Detokenizer(tiny_tokenizer("bert"), 100)
