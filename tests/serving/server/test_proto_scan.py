"""Fields of a message are counted before they are made, in the messages that matter and up to a limit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from kerasft.serving.server.proto_scan import EXAMPLES, PREDICT, has_more_fields


def fields(body, tree):
    return next(count for count in range(10_000) if not has_more_fields(body, tree, count))


@pytest.mark.parametrize("with_context", [False, True])
def test_examples_and_their_features_are_counted(with_context):
    request = ClassificationRequest()
    request.model_spec.name = "m"
    given_list = request.input.example_list_with_context if with_context else request.input.example_list
    for number in range(5):
        features = given_list.examples.add().features
        for name in range(number):
            features.feature[f"f{name}"].int64_list.value.extend(range(300))
    # spec, input, list; five examples, the features of four and ten entries
    assert fields(request.SerializeToString(), EXAMPLES) == 3 + 5 + 4 + 10
    if with_context:
        given_list.context.features.feature["c"].float_list.value.append(1.0)
        assert fields(request.SerializeToString(), EXAMPLES) == 3 + 5 + 4 + 10 + 3


def test_inputs_of_predict_are_counted_and_what_is_in_them_is_not():
    request = PredictRequest(output_filter=["a", "b"])
    for number in range(4):
        request.inputs[f"i{number}"].string_val.extend([b"x"] * 500)
    request.inputs["f"].float_val.extend([1.0] * 500)
    assert fields(request.SerializeToString(), PREDICT) == 5 + 2


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([PREDICT, EXAMPLES]))
def test_any_bytes_come_to_an_end(body, tree):
    assert has_more_fields(body, tree, 10_000) is False


def test_the_largest_messages_are_left_at_the_limit():
    assert has_more_fields(b"\x12\x00" * 4_000_000, PREDICT, 1000)
    assert has_more_fields(b"\x7b" * 4_000_000, PREDICT, 1000)
    assert not has_more_fields(b"\x80" * 4_000_000, PREDICT, 1000)
