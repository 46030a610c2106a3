"""Words of any length are merged as if they were not cut, at a cost that grows as they do."""

import itertools
import random
import time

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.models.tokenizers import merges
from kerasft.models.tokenizers.encoder import clean, token_encoder

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@st.composite
def tables(draw):
    """(vocabulary, merges) of any order, also of one in which a merge comes before those that make its parts."""
    tokens, pairs = list("abc"), []
    for _ in range(draw(st.integers(1, 14))):
        pair = (draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens)))
        if pair not in pairs and len("".join(pair)) <= 16:
            pairs.append(pair)
            tokens += [token for token in ["".join(pair)] if token not in tokens]
    return {token: number for number, token in enumerate(tokens)}, draw(st.permutations(pairs))


def merged_one_by_one(word, pairs):
    """What Sennrich et al.'s algorithm makes of a word, in Python."""
    symbols = list(word)
    while ranked := [(pairs.index(pair), pair) for pair in itertools.pairwise(symbols) if pair in pairs]:
        _, pair = min(ranked)
        place, after = 0, []
        while place < len(symbols):
            width = 2 if tuple(symbols[place : place + 2]) == pair else 1
            after.append("".join(symbols[place : place + width]))
            place += width
        symbols = after
    return symbols


@pytest.fixture(scope="module")
def cut_early():
    """Words are long from nine bytes on, and cut to four."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merges, "LONG", 8)
        patch.setattr(merges, "PART", 4)
        patch.setattr(merges, "FIRST_REACH", 1)
        yield


words = st.lists(
    st.text("abc", min_size=1, max_size=30) | st.text("ab", min_size=40, max_size=120), min_size=1, max_size=4
)


@settings(max_examples=25, deadline=None)
@given(tables(), words)
def test_cuts_leave_no_trace(cut_early, table, words):
    vocabulary, pairs = table
    ids = tf.constant([vocabulary[letter] for word in words for letter in word], tf.int64)
    word_of = tf.constant([number for number, word in enumerate(words) for _ in word], tf.int64)
    made = merges.Merges(vocabulary, [" ".join(pair) for pair in pairs])
    found, found_of = made(ids, word_of, tf.constant(len(words), tf.int64))
    tokens = tf.RaggedTensor.from_value_rowids(found, found_of, nrows=len(words)).to_list()
    assert tokens == [[vocabulary[token] for token in merged_one_by_one(word, pairs)] for word in words]


@pytest.mark.parametrize("name", ["roberta_prefix", "smollm"])
def test_long_words_agree_with_the_rust_library(reference, name):
    chance = random.Random(0)
    known = [token for token in reference(name).tokenizer.get_vocab() if token.isalpha() and token.isascii()]
    texts = [
        "".join(chance.choices(letters, k=size))
        for letters in (LETTERS, "ab", "thein", "=-")
        for size in (129, 1024, 5000)
    ]
    texts += ["".join(chance.choices(known, k=900)), "a" * 3001, "中文" * 700, "é" * 1025, "1" * 999 + " x" + "!" * 777]
    assert reference(name).ours(texts) == reference(name).theirs(texts)


def seconds(encode, text):
    encode(tf.constant([text]))
    spent = []
    for _ in range(3):
        start = time.process_time()
        encode(tf.constant([text]))
        spent.append(time.process_time() - start)
    return min(spent)


@pytest.mark.parametrize("name", ["bert", "gpt2", "albert", "xlm_roberta"])
def test_a_word_eight_times_as_long_costs_about_eight_times_as_much(tiny_tokenizer, name):
    encoder = token_encoder(tiny_tokenizer(name))
    encode = tf.function(
        lambda text: encoder(clean(text)), input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
    )
    word = "".join(random.Random(0).choices(LETTERS, k=64_000))
    assert seconds(encode, word) < 25 * seconds(encode, word[:8_000])
