"""Windows share out every token, hold what they say, and give units that lie in the original text."""

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support.rarely import rarely
from support.texts import NASTY

from kerasft.errors import UserError
from kerasft.models.preprocessing.window_preprocessor import window_preprocessor
from kerasft.models.preprocessing.windows import cover

ROOM = 10


@settings(deadline=None)
@given(lengths=st.lists(st.integers(0, 60), min_size=1, max_size=5), stride=st.integers(0, ROOM - 1))
def test_every_token_is_owned_once_where_it_has_most_context(lengths, stride):
    found = cover(tf.constant(lengths, tf.int64), ROOM, stride)
    rows = list(zip(*(values.numpy().tolist() for values in found)))
    for text, length in enumerate(lengths):
        windows = [row[1:] for row in rows if row[0] == text]
        owned = [token for _, _, first, end in windows for token in range(first, end)]
        assert owned == list(range(length))
        for start, end, first, last in windows:
            assert 0 <= start <= first <= last <= end <= length
            assert len(windows) == 1 or end - start == ROOM
            for token in range(first, last):
                context = min(token - start, end - 1 - token)
                others = [min(token - a, b - 1 - token) for a, b, _, _ in windows if a <= token < b]
                assert context >= max(others) - (1 if len(windows) > 1 else 0)  # halves are rounded
        for (_, before, _, _), (after, _, _, _) in zip(windows, windows[1:]):
            assert before - after >= stride


@settings(deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12), st.integers(0, 6)), min_size=1, max_size=5))
def test_texts_with_room_of_their_own_have_the_windows_they_would_have_alone(rows):
    rows = [(length, room, min(stride, room - 1)) for length, room, stride in rows]
    lengths, rooms, strides = (tf.constant(values, tf.int64) for values in zip(*rows))
    together = [values.numpy() for values in cover(lengths, rooms, strides)]
    alone = [np.stack(cover(tf.constant([length]), room, stride)[1:], 1) for length, room, stride in rows]
    np.testing.assert_array_equal(np.stack(together[1:], 1), np.concatenate(alone))
    assert together[0].tolist() == [text for text, windows in enumerate(alone) for _ in windows]


@pytest.fixture(scope="module")
def preprocess(tiny_tokenizer):
    def make(units="words", max_length=12, stride=4, family="bert"):
        sizes = {"num_layers": 1, "num_heads": 1, "hidden_dim": 2, "intermediate_dim": 2, "max_sequence_length": 32}
        backbones = {"bert": keras_hub.models.BertBackbone, "roberta": keras_hub.models.RobertaBackbone}
        backbone = backbones[family](vocabulary_size=tiny_tokenizer(family).vocabulary_size(), **sizes)
        return window_preprocessor(backbone, tiny_tokenizer(family), max_length, stride, units)

    keras.utils.set_random_seed(0)
    return make


def units_of(preprocessor, texts):
    found = {name: value.numpy() for name, value in preprocessor({"text": texts}).items()}
    bounds = np.cumsum([0, *found["units"]])
    return [
        [text.decode()[a:b] for a, b in zip(found["unit_starts"][i:j], found["unit_ends"][i:j])]
        for text, i, j in zip(found["texts"], bounds, bounds[1:])
    ]


EVERY = [(units, family) for units in ("tokens", "words", "pieces", "spaces") for family in ("bert", "roberta")]
SOME = [("tokens", "roberta"), ("words", "bert"), ("pieces", "roberta"), ("spaces", "bert")]


@pytest.mark.parametrize("units, family", [*SOME, *rarely(*(pair for pair in EVERY if pair not in SOME))])
def test_windows_and_units_of_nasty_texts(preprocess, family, units):
    preprocessor = preprocess(units, family=family)
    texts = [text.encode("utf-8", "surrogatepass") for text in NASTY] + [b"\xff\xfe abc \xc3", "the fox ".encode() * 20]
    found = {name: value.numpy() for name, value in preprocessor({"text": texts}).items()}
    mask = found["padding_mask"].astype(bool)
    assert mask.sum(-1).max() <= 12 and found["windows"].sum() == len(mask) and found["windows"].min() == 1
    layout = preprocessor.layout
    assert (found["token_ids"][:, 0] == layout.start[0]).all()
    text_of = np.repeat(np.arange(len(texts)), found["windows"])
    opened = found["owned"] & (found["unit"] >= 0)
    assert not (opened & ~mask).any()
    for text, (decoded, count) in enumerate(zip(found["texts"], found["units"])):
        rows = text_of == text
        assert found["unit"][rows][opened[rows]].tolist() == list(range(count))  # each unit is answered for once
        ends = np.cumsum(found["units"])
        starts, stops = (found[name][ends[text] - count : ends[text]] for name in ("unit_starts", "unit_ends"))
        size = len(decoded.decode())
        assert (starts >= 0).all() and (starts < stops).all() and (stops <= size).all()
        assert units == "pieces" or (starts[1:] >= stops[:-1]).all()


def test_units_are_cut_where_they_should_be(preprocess):
    texts = ["  Don't stop, café! ", "e\u0301a\u0301 x\u0301", "我们 ok", ""]
    assert units_of(preprocess("words"), texts) == [
        ["Don", "'", "t", "stop", ",", "café", "!"],
        ["e\u0301a\u0301", "x\u0301"],
        ["我", "们", "ok"],
        [],
    ]
    assert units_of(preprocess("spaces"), texts) == [
        ["Don't", "stop,", "café!"],
        ["e\u0301a\u0301", "x\u0301"],
        ["我们", "ok"],
        [],
    ]
    assert units_of(preprocess("tokens"), texts) == [
        ["Don", "'t", "stop", ",", "café", "!"],
        ["e\u0301a\u0301", "x\u0301"],
        ["我", "们", "ok"],
        [],
    ]
    tweets = ["(@ann_b: #tag...) U.S.-based, 50%", "...", "O'Neil said: “no” 我ok们。"]
    assert units_of(preprocess("tokens"), tweets) == [
        ["(", "@ann_b", ":", "#tag", ".", ".", ".", ")", "U.S.-based", ",", "50%"],
        [".", ".", "."],
        ["O", "'Neil", "said", ":", "“", "no", "”", "我", "ok", "们", "。"],
    ]
    assert units_of(preprocess("words", family="roberta"), texts)[0] == ["Don", "'t", "stop", ",", "café", "!"]


def test_a_long_text_has_the_logits_of_its_own_windows(preprocess):
    """Feeding each token's id as its logit brings the ids of the text back, whatever the windows."""
    from kerasft.models.heads.entities import unit_logits

    texts = ["the quick brown fox jumps over the lazy dog " * 5, "fox", ""]
    long, whole = preprocess("pieces", 12, 4), preprocess("pieces", 32, 0)
    ids = []
    for preprocessor in (long, whole):
        features = preprocessor({"text": texts})
        ids.append(unit_logits(tf.cast(features["token_ids"], tf.float32)[..., tf.newaxis], features).numpy())
    np.testing.assert_array_equal(*ids)
    assert len(ids[0]) == 9 * 5 + 1


def test_a_stride_without_room(preprocess):
    with pytest.raises(UserError, match="task.stride: 10 is no less than the 10 tokens .* use 5 or less"):
        preprocess(stride=10)


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("kind", ["tokens", "words", "spaces"])
def test_units_have_no_edges_that_nobody_sees(preprocess, family, kind):
    """As true spans lose theirs: otherwise no answer could equal a span before a zero-width space."""
    texts = ["the fox\u200b over\u00ad the\ufeff dog\u00a0 ", "\u200bfox\u200d", "\u200b \u200b"]
    expected = [["the", "fox", "over", "the", "dog"], ["fox"], []]
    assert units_of(preprocess(kind, family=family), texts) == expected
