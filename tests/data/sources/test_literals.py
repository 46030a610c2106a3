"""Lists that were written as text, as JSON, Python and NumPy write them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.data.sources.literals import NoLiteral, looks_like_list, read_list, read_literal

WORDS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=5)


@given(WORDS)
def test_what_python_and_json_print_is_read_back(words):
    for text in (repr(words), json.dumps(words), json.dumps(words, ensure_ascii=False), repr(tuple(words))):
        assert read_list(text) == words
        assert looks_like_list(text)


@given(st.lists(st.text("abc'\"\\ ,[]", min_size=1, max_size=4), min_size=1, max_size=5))
def test_what_numpy_prints_is_read_back(words):
    array = np.array(words, object)
    assert read_list(str(array)) == words
    assert read_list(repr(array)) == words


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.text("ab", min_size=1)), max_size=3))
def test_what_is_nested_is_read_back(spans):
    assert read_literal(repr(spans)) == [list(span) for span in spans]
    mappings = [{"start": a, "end": b, "label": c} for a, b, c in spans]
    assert read_literal(repr(mappings)) == mappings
    assert read_literal(str(np.array(mappings, object))) == mappings


def test_scalars_of_numpy():
    assert read_literal("[np.int64(4), np.str_('b'), np.float64(0.5)]") == [4, "b", 0.5]
    answers = "{'text': array(['a b'], dtype=object), 'answer_start': array([7], dtype=int32)}"
    assert read_literal(answers) == {"text": ["a b"], "answer_start": [7]}
    assert read_list("[0 1 1]") == [0, 1, 1]


@pytest.mark.parametrize(
    "text",
    [
        "[a, b]",
        "['a'",
        "['a' ... 'b']",
        "[" * 2000,
        "[__import__('os')]",
        "[open('x')]",
        "['a'] b",
        "['\\x']",
        "[{'a': 1, 'b'}]",
    ],
)
def test_what_is_no_list_is_not_read(text):
    with pytest.raises(NoLiteral):
        read_literal(text)
    assert read_list(text) is None


def test_a_sentence_in_brackets_is_no_list():
    assert read_list("[ Reuters ] he said") is None and not looks_like_list("[ Reuters ]")
    assert looks_like_list("['a', b]") and looks_like_list("[]")


@given(WORDS)
def test_what_is_around_a_list_is_left_out(words):
    for text in (f"list({words!r})", f"Index({words!r}, dtype='object')", json.dumps(json.dumps(words))):
        assert read_list(text) == words


def test_sets_have_their_items_once():
    assert sorted(read_list(repr({"a", "b"}))) == ["a", "b"]
    assert read_list(repr(frozenset({"a"}))) == ["a"]
    assert read_list("set()") == read_list("frozenset()") == []


@pytest.mark.parametrize("text", ["['a', 'b'", '["a", "b', "array(['a',", "Index([x", "{'a', b}", "{'label': 'a'}"])
def test_what_is_cut_or_no_list_still_looks_like_one(text):
    assert read_list(text) is None
    assert looks_like_list(text)


@pytest.mark.parametrize("text", ["[URGENT]", "{ x }", "(other)", "'a'", "list of things", '[ "x" said he'])
def test_texts_with_brackets_are_no_lists(text):
    assert read_list(text) is None
    assert not looks_like_list(text)
