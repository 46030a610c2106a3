"""Texts and labels in whatever form a caller has them."""

import numpy as np
import pytest
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.keras_models.columns import LabelNames, columns_of, holds_text, named, plain

TEXTS = ["a goal", "a stock"]


@pytest.mark.parametrize(
    "x",
    [TEXTS, tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, object), tf.constant(TEXTS), {"text": TEXTS}],
    ids=["list", "tuple", "array", "objects", "tensor", "dict"],
)
def test_texts_have_many_forms(x):
    assert holds_text(x)
    assert columns_of(x, ["text"]) == {"text": TEXTS}


def test_what_is_preprocessed_holds_no_text():
    assert not holds_text({"token_ids": np.zeros((2, 3), np.int32)})
    assert not holds_text(tf.data.Dataset.from_tensors({"token_ids": [[1]]}))
    assert holds_text([["a", "list"], ["of", "tokens"]]) and holds_text([[{"role": "user", "content": "hi"}]])
    assert holds_text(tf.data.Dataset.from_tensor_slices((TEXTS, [0, 1])).batch(2))


def test_several_columns_are_a_dict_a_tuple_or_rows():
    wanted = {"text": TEXTS, "text_pair": ["b", "c"]}
    rows = [{"text": "a goal", "text_pair": "b"}, {"text": "a stock", "text_pair": "c", "more": 1}]
    for given in (wanted, (TEXTS, np.array(["b", "c"])), rows):
        assert columns_of(given, list(wanted)) == wanted


@pytest.mark.parametrize(
    "x, names, message",
    [
        ("a goal", ["text"], "'a goal' is one text; give a list of texts"),
        ({"text": TEXTS}, ["text", "text_pair"], "there is no 'text_pair' among text; give a dict or a tuple of"),
        ((TEXTS, TEXTS, TEXTS), ["text", "text_pair"], "there are 3 columns"),
        ((TEXTS, ["b"]), ["text", "text_pair"], "there are 2 of text and 1 of text_pair; give as many of each"),
        (TEXTS, ["text", "text_pair"], "rows without text or text_pair"),
        ([], ["text"], "there are no texts; give at least one"),
        (3, ["text"], "3 is no list"),
    ],
)
def test_other_forms_are_refused(x, names, message):
    with pytest.raises(UserError, match=message):
        columns_of(x, names)


def test_tensors_become_lists_and_bytes_texts():
    ragged = tf.ragged.constant([["a"], []])
    assert plain(ragged) == [["a"], []] and plain(np.array([b"a", b"\xff"])) == ["a", "\ufffd"]


def test_labels_are_names_or_numbers():
    labels = LabelNames(["sport", "trade", "True"])
    assert labels.names(["trade", 0, b"sport", True]) == ["trade", "sport", "sport", "True"]
    assert labels.several([["trade", 0], []]) == [["trade", "sport"], []]
    assert labels.several(np.array([[1, 0, 1], [0, 0, 0]])) == [["sport", "True"], []]


@pytest.mark.parametrize(
    "value, message",
    [
        ("sprot", "example 0: there is no label 'sprot'; did you mean 'sport'?"),
        ("war", "example 0: there is no label 'war'; there are: sport, trade"),
        (2, "example 0: there is no label with the number 2; numbers are 0 to 1, of sport, trade"),
        (-1, "number -1"),
        (None, "example 0: the label is None; one of sport, trade is needed"),
        ([1.0, 0.0], r"of one-hot rows take argmax\(axis=1\)"),
    ],
)
def test_labels_that_a_model_has_not_are_refused(value, message):
    with pytest.raises(UserError, match=message):
        LabelNames(["sport", "trade"]).names([value])


def test_an_array_of_flags_is_as_wide_as_there_are_labels():
    with pytest.raises(UserError, match=r"labels have the shape \(1, 3\); give \(texts, 2\) of 0 and 1"):
        LabelNames(["sport", "trade"]).several(np.array([[1, 0, 1]]))


def test_labels_may_be_counted():
    assert named(3) == ["0", "1", "2"] and named(("a", 1)) == ["a", "1"]
    with pytest.raises(UserError, match="labels: 'sport'; give a list of names"):
        named("sport")
