"""What a message asks for, what of it is refused, and what becomes of a signature's outputs."""

import numpy as np
import pytest
from tensorflow.core.example.example_pb2 import Example
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.input_pb2 import Input

from kerasft.serving.server import json_requests, requests
from kerasft.serving.server.offload import LARGE, SMALL
from kerasft.serving.server.requests import RequestLimits
from kerasft.serving.status import ServingError

LIMITS = RequestLimits(rows=2, text_bytes=10, input_bytes=100)
SIGNATURES = {
    "classify": SignatureDef(method_name="tensorflow/serving/classify"),
    "serving_default": SignatureDef(method_name="tensorflow/serving/predict"),
}


def strings(*values):
    return np.array(values, object)


def example(**features):
    made = Example()
    for name, value in features.items():
        made.features.feature[name].bytes_list.value.append(value)
    return made


def test_the_context_is_part_of_each_example_and_an_example_overrides_it():
    given = Input()
    given.example_list_with_context.context.CopyFrom(example(a=b"shared", b=b"shared"))
    given.example_list_with_context.examples.extend([example(b=b"own"), example()])
    rows = requests.example_inputs(given, RequestLimits())["inputs"]
    found = [Example.FromString(row).features.feature for row in rows]
    assert [row["a"].bytes_list.value[:] for row in found] == [[b"shared"], [b"shared"]]
    assert found[0]["b"].bytes_list.value[-1] == b"own" and found[1]["b"].bytes_list.value[:] == [b"shared"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"a": strings(b"1", b"2", b"3")}, "the request has 3 rows; this server takes 2 at most"),
        ({"a": strings(b"x" * 11)}, "a text of 11 bytes; this server takes 10 at most"),
        ({"a": strings(b"1"), "b": strings(b"1", b"2")}, "different numbers of rows: 'a' 1, 'b' 2"),
        ({"a": strings()}, "no rows"),
        ({"a": np.zeros((2, 9))}, "144 bytes once they are read; this server takes 100"),
    ],
)
def test_limits(inputs, expected):
    with pytest.raises(ServingError, match=expected):
        requests.check_inputs(inputs, LIMITS)
    requests.check_inputs({"a": strings(b"x" * 10, b"")}, LIMITS)


def test_no_examples_and_too_many():
    with pytest.raises(ServingError, match="Input is empty"):
        requests.example_inputs(Input(), LIMITS)
    many = Input()
    many.example_list.examples.extend([Example()] * 3)
    with pytest.raises(ServingError, match="3 rows"):
        requests.example_inputs(many, LIMITS)


def test_a_context_is_counted_for_each_example_it_goes_into():
    given = Input()
    given.example_list_with_context.context.CopyFrom(example(a=b"x" * 1000))
    given.example_list_with_context.examples.extend([Example()] * 20)
    size = given.example_list_with_context.context.ByteSize()
    assert len(requests.example_inputs(given, RequestLimits(input_bytes=20 * size))["inputs"]) == 20
    for limits in (RequestLimits(input_bytes=20 * size - 1), RequestLimits(text_bytes=size - 1)):
        with pytest.raises(ServingError, match=f"the context has {size} bytes, for 20 examples"):
            requests.example_inputs(given, limits)


def test_a_method_needs_a_signature_of_its_own():
    assert requests.method_signature(SIGNATURES, "classify", "classify") == "classify"
    for key, method, expected in (
        ("", "classify", "Was: tensorflow/serving/predict"),
        ("classify", "regress", "Expected regression signature"),
        ("x", "classify", "No signature was found with the name: x"),
    ):
        with pytest.raises(ServingError, match=expected):
            requests.method_signature(SIGNATURES, key, method)


def test_outputs_that_are_asked_for():
    signature = SignatureDef()
    signature.outputs["a"].name = "a:0"
    requests.check_outputs(["a"], signature)
    for names, expected in ((["b"], "not found in signature: b"), (["a", "a"], "duplicate")):
        with pytest.raises(ServingError, match=expected):
            requests.check_outputs(names, signature)


def test_classes_without_scores_and_scores_without_classes():
    classes, scores = np.array([[b"x", b"y"]], object), np.float32([[0.25, 0.75]])
    labels, found = requests.classifications({"classes": classes, "scores": scores}, 1)
    assert labels.tolist() == [[b"x", b"y"]] and found.tolist() == [[0.25, 0.75]]
    assert requests.classifications({"scores": scores}, 1)[0].tolist() == [[b"", b""]]
    assert requests.classifications({"classes": classes}, 1)[1].tolist() == [[0.0, 0.0]]
    for outputs in ({}, {"scores": scores[0]}, {"scores": scores, "classes": classes[:, :1]}):
        with pytest.raises(ServingError, match=r"\[batch_size num_classes\]"):
            requests.classifications(outputs, 1)
    with pytest.raises(ServingError):
        requests.classifications({"scores": scores}, 2)


def test_regressions_of_rank_1_and_2():
    for outputs in (np.float32([1, 2]), np.float32([[1], [2]])):
        assert requests.regressions({"outputs": outputs}, 2).tolist() == [1, 2]
    for outputs in (np.float32([1, 2, 3]), np.float32([[1, 2]]), None):
        with pytest.raises(ServingError, match="Expected a regression"):
            requests.regressions({} if outputs is None else {"outputs": outputs}, 2)


@pytest.mark.parametrize("key", [b'"context"', b'"\\u0063ontext"'])
def test_a_context_that_goes_into_many_examples_is_much_work(key):
    body = b'{%s: {"a": "%s"}, "examples": [%s]}' % (key, b"x" * 500, b",".join([b"{}"] * 256))
    assert len(body) < SMALL < json_requests.work_of(body, "classify", RequestLimits()) < LARGE
    assert json_requests.work_of(body, "predict", RequestLimits()) == len(body)
    request = ClassificationRequest()
    given = request.input.example_list_with_context
    given.context.CopyFrom(example(a=b"x" * 500))
    given.examples.extend([Example()] * 256)
    assert request.ByteSize() < SMALL < requests.work_of(request, RequestLimits()) < LARGE
    del given.examples[2:]
    assert requests.work_of(request, RequestLimits()) < SMALL


def test_examples_without_a_context_are_as_much_work_as_they_have_bytes():
    body = b'{"examples": [{"a": "in context"}]}'
    assert json_requests.work_of(body, "classify", RequestLimits()) == len(body)
    request = ClassificationRequest()
    request.input.example_list.examples.extend([example(a=b"x")] * 5)
    assert requests.work_of(request, RequestLimits()) == request.ByteSize()
