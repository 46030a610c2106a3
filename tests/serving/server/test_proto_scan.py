"""What a message holds is counted before it is made, in the messages that matter and up to a limit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from kerasft.serving.server.proto_scan import EXAMPLES, PREDICT, has_more


def counted(message, tree):
    body = message.SerializeToString()
    return next(count for count in range(len(body) + 1) if not has_more(body, tree, count))


@pytest.mark.parametrize("with_context", [False, True])
def test_examples_their_features_and_values_are_counted(with_context):
    request = ClassificationRequest()
    request.model_spec.name = "m"
    given_list = request.input.example_list_with_context if with_context else request.input.example_list
    for number in range(5):
        features = given_list.examples.add().features
        for name in range(number):
            features.feature[f"f{name}"].int64_list.value.extend(range(300))
    # The spec; input and list; five examples; the features of four; of each of ten an entry, name, value, list and its
    # numbers in one field. Messages count twice.
    assert counted(request, EXAMPLES) == 1 + 2 * 2 + 5 * 2 + 4 * 2 + 10 * (2 + 1 + 2 + 2 + 1 + 300)
    before = counted(request, EXAMPLES)
    if with_context:
        given_list.context.features.feature["c"].bytes_list.value.extend([b"x"] * 200)
        assert counted(request, EXAMPLES) == before + 2 + 2 + 2 + 1 + 2 + 2 + 200


def test_inputs_of_predict_are_counted_and_all_that_becomes_an_object_in_them():
    request = PredictRequest(output_filter=["a", "b"])
    request.inputs["s"].string_val.extend([b"x"] * 500)
    request.inputs["f"].float_val.extend([1.0] * 500)  # packed, and as long in memory
    request.inputs["i"].int64_val.extend([1, 2**40] * 250)
    assert counted(request, PREDICT) == 3 * (2 + 1 + 2) + 500 + 1 + (1 + 500) + 2


def field(number, content):
    size = len(content)
    return bytes([number << 3 | 2, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14]) + content


@pytest.mark.parametrize("content", [
    b"\x72\x00" * 2000,  # handles of resources, of a hundred bytes in memory
    b"\x7a\x00" * 2000,  # variants
    b"\x42\x00" * 2000,  # strings
    field(2, b"\x12\x00" * 1000),  # sizes of a shape
    field(14, b"\x32\x00" * 1000),  # dtypes of a handle
    field(15, field(3, b"\x42\x00" * 1000)),  # strings of a tensor of a variant
    field(7, b"\x01" * 2000),  # packed integers
    b"\x2d\x00\x00\x80\x3f" * 1000,  # floats one by one
])  # fmt: skip
def test_no_part_of_a_tensor_is_small_enough_to_go_uncounted(content):
    body = field(2, field(2, content))  # of the tensor of an input
    PredictRequest.FromString(body)
    assert has_more(body, PREDICT, 900) and not has_more(body, PREDICT, 5000)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([PREDICT, EXAMPLES]))
def test_any_bytes_come_to_an_end(body, tree):
    assert has_more(body, tree, len(body)) is False
    has_more(body, tree, 1)


def test_the_largest_messages_are_left_at_the_limit():
    assert has_more(b"\x12\x00" * 4_000_000, PREDICT, 1000)
    assert has_more(b"\x7b" * 4_000_000, PREDICT, 1000)
    assert not has_more(b"\x80" * 4_000_000, PREDICT, 1000)
