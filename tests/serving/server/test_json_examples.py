"""The JSON of classify and regress becomes the tf.Examples that TensorFlow Serving would make of it."""

import pytest

from kerasft.serving.server.json_examples import examples
from kerasft.serving.status import ServingError


def features(document, number=0):
    return examples(document).example_list.examples[number].features.feature


def test_every_kind_of_value():
    row = {"text": "a\u00e9", "bytes": {"b64": "//4="}, "one": 1, "yes": True, "half": 0.5, "many": [1, 2], "none": []}
    found = features({"examples": [row]})
    assert found["text"].bytes_list.value[:] == ["a\u00e9".encode()]
    assert found["bytes"].bytes_list.value[:] == [b"\xff\xfe"]
    assert found["one"].int64_list.value[:] == [1] and found["yes"].int64_list.value[:] == [1]
    assert found["half"].float_list.value[:] == [0.5] and found["many"].int64_list.value[:] == [1, 2]
    assert found["none"].WhichOneof("kind") is None


def test_the_context_stands_beside_the_examples():
    given = examples({"context": {"a": "shared"}, "examples": [{}, {"b": "own"}]}).example_list_with_context
    assert given.context.features.feature["a"].bytes_list.value[:] == [b"shared"]
    assert [len(each.features.feature) for each in given.examples] == [0, 1]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, "key 'examples' is expected"),
        ({"examples": []}, "a list that is not empty"),
        ({"examples": {"a": "b"}}, "key 'examples' is expected"),
        ({"examples": ["a"]}, "Example must be JSON object but got JSON String"),
        ({"examples": [{}], "context": 7}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"a": None}]}, "Feature: a has element with unexpected JSON type: Null"),
        ({"examples": [{"a": [1, "b"]}]}, "Unexpected element type in feature: a"),
        ({"examples": [{"a": [1, 0.5]}]}, "Unexpected element type in feature: a"),
        ({"examples": [{"a": 2**63}]}, "an integer beyond int64"),
        ({"examples": [{"a": 1e39}]}, "a number beyond float"),
        ({"examples": [{"a": {"b": "c"}}]}, "unexpected JSON type: Object"),
        ({"examples": [{"a": "\ud800"}]}, "surrogate"),
        ({"examples": [{"\ud800": "a"}]}, "surrogate"),
    ],
)
def test_what_is_no_example(document, expected):
    with pytest.raises(ServingError, match=expected) as failed:
        examples(document)
    assert failed.value.http_status == 400
