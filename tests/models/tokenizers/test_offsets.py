"""Where tokens come from: offsets in code points of the original text, beside those of the `tokenizers` library."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support.texts import BYTE_PAIR, NASTY, SHARED, WORDPIECE, lines, texts_of

from kerasft.errors import UserError
from kerasft.models.tokenizers.encoder import clean, piece_encoder
from kerasft.models.tokenizers.special_tokens import STANDINS

OWN = {chr(code) for code in STANDINS}
MORE = [
    "x  <mask> y<mask>\n\t<mask>",
    "a[SEP] b [MASK]c",
    "e\u0301\u0301 b\u0301",
    "\u0301a",
    "a\0b\0",
    "각 x",
    "  a  b \n\n c",
]

_compiled = {}


def pieces_of(reference, name, texts):
    """[(id, start, end, opens_word)] of each text."""
    if name not in _compiled:
        encode = piece_encoder(reference(name).encoder)
        _compiled[name] = tf.function(
            lambda text: encode(clean(text)), input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )
    found = _compiled[name](tf.constant(texts, tf.string))
    columns = [found.ids.flat_values, found.starts, found.ends, found.opens_word]
    flat = list(zip(*(column.numpy().tolist() for column in columns)))
    splits = found.ids.row_splits.numpy()
    return [flat[a:b] for a, b in zip(splits[:-1], splits[1:])]


def assert_offsets_agree(reference, name, texts):
    theirs = reference(name).tokenizer.encode_batch(texts, add_special_tokens=False)
    for text, ours, encoding in zip(texts, pieces_of(reference, name, texts), theirs):
        expected = list(zip(encoding.ids, *zip(*encoding.offsets))) if encoding.ids else []
        assert [piece[:3] for piece in ours] == expected, text


@pytest.mark.parametrize("name", WORDPIECE + BYTE_PAIR)
def test_nasty_strings(reference, name):
    texts = [text for text in NASTY + MORE if not OWN & set(text)]
    assert_offsets_agree(reference, name, texts)
    assert_offsets_agree(reference, name, ["".join(texts)])


@pytest.mark.parametrize("name", WORDPIECE + BYTE_PAIR)
@settings(max_examples=60, deadline=None)
@given(texts=texts_of)
def test_arbitrary_text_agrees(reference, name, texts):
    assert_offsets_agree(reference, name, texts)


@pytest.mark.parametrize("name", WORDPIECE + BYTE_PAIR)
@pytest.mark.parametrize("data", sorted(SHARED))
def test_shared_texts(reference, shared_data, name, data):
    assert_offsets_agree(reference, name, lines(shared_data, SHARED[data])[:400])


@pytest.mark.parametrize("name", WORDPIECE + BYTE_PAIR)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.binary(max_size=30) | st.text(max_size=30).map(str.encode), min_size=1, max_size=6))
def test_any_bytes_have_offsets_in_the_text_with_replacements(reference, name, texts):
    cleaned = clean(tf.constant(texts, tf.string))
    ids = reference(name)._encode(tf.constant(texts, tf.string)).to_list()
    for text, row, expected in zip(cleaned.numpy(), pieces_of(reference, name, texts), ids):
        assert [piece[0] for piece in row] == expected  # the ids are those of the encoder
        size = len(text.decode("utf-8"))
        starts = [piece[1] for piece in row]
        assert starts == sorted(starts)
        assert all(0 <= start < end <= size for _, start, end, _ in row)


def test_words_open_where_the_tokenizer_splits(reference):
    (row,) = pieces_of(reference, "uncased", ["Größenwahnsinn, naïve"])
    words = [start for _, start, _, opens in row if opens]
    assert words == [0, 14, 16] and len(row) > 3
    (row,) = pieces_of(reference, "gpt2", ["don't  go"])
    assert [start for _, start, _, opens in row if opens] == [0, 3, 5, 6]


def test_byte_outside_the_vocabulary_shifts_nothing():
    import keras_hub

    from kerasft.models.tokenizers.encoder import token_encoder

    tokenizer = keras_hub.models.GPT2Tokenizer(vocabulary={"<|endoftext|>": 0, "a": 1, "b": 2, "ab": 3}, merges=["a b"])
    found = tf.function(piece_encoder(token_encoder(tokenizer)), autograph=False)(tf.constant(["xéabéxb", ""]))
    assert found.ids.to_list() == [[3, 2], []]
    assert (found.starts.numpy().tolist(), found.ends.numpy().tolist()) == ([2, 6], [4, 7])


def test_sentence_piece_has_no_offsets(tiny_tokenizer):
    from kerasft.models.tokenizers.encoder import token_encoder

    with pytest.raises(UserError, match="model.preset: .*SentencePiece.* offsets"):
        piece_encoder(token_encoder(tiny_tokenizer("albert")))
