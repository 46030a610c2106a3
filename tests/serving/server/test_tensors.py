"""Values of every dtype from JSON and messages and back; the examples of TensorFlow Serving's documentation."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo

from kerasft.serving.server import json_answers, json_examples, json_tensors
from kerasft.serving.server.json_answers import dump, shortest
from kerasft.serving.server.json_tensors import parse, predict_inputs
from kerasft.serving.server.proto_tensors import FIELDS, to_array, to_message
from kerasft.serving.status import ServingError


def info(dtype, *shape):
    made = TensorInfo(dtype=dtype.as_datatype_enum)
    made.tensor_shape.SetInParent()
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def signature(**inputs):
    made = SignatureDef()
    for name, given in inputs.items():
        made.inputs[name].CopyFrom(given)
    return made


DOCUMENTED = signature(tag=info(tf.string, -1), signal=info(tf.int64, -1, 5), sensor=info(tf.int32, -1, 2, 2))
ROWS = [
    {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
    {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]},
]


def test_the_documented_rows_and_columns_are_the_same_tensors():
    by_row, is_row = predict_inputs({"instances": ROWS}, DOCUMENTED)
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    by_column, is_not = predict_inputs({"inputs": columns}, DOCUMENTED)
    assert (is_row, is_not) == (True, False)
    assert by_row["tag"].tolist() == [b"foo", b"bar"]
    assert by_row["signal"].shape == (2, 5) and by_row["signal"].dtype == np.int64
    assert by_row["sensor"].tolist() == [[[1, 2], [3, 4]], [[4, 5], [6, 8]]] and by_row["sensor"].dtype == np.int32
    for name in columns:
        np.testing.assert_array_equal(by_row[name], by_column[name])


@pytest.mark.parametrize("dtype", FIELDS, ids=lambda dtype: dtype.name)
def test_every_dtype_goes_through_its_field_and_back(dtype):
    values = [b"a", b"\xff\x00"] if dtype == tf.string else [True, False] if dtype == tf.bool else [1, 7]
    array = np.array(values, object if dtype == tf.string else dtype.as_numpy_dtype)
    message = to_message(array, info(dtype, -1))
    assert list(getattr(message, FIELDS[dtype])) == values and not message.tensor_content
    for sent in (message, tf.make_tensor_proto(array, dtype)):
        got = to_array("x", sent, info(dtype, -1), 10, 1000)
        np.testing.assert_array_equal(got, array)
        assert got.dtype == array.dtype


def test_bfloat16_has_no_field_and_still_arrives():
    array = np.array([1.5, 2.0], tf.bfloat16.as_numpy_dtype)
    assert tf.make_ndarray(to_message(array, info(tf.bfloat16, -1))).tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (tf.int32, 1.5), (tf.int32, "1"), (tf.int32, True), (tf.int32, 2**31), (tf.int8, -129), (tf.uint8, -1),
        (tf.int64, 2**63), (tf.uint64, 2**64), (tf.float32, "1"), (tf.float32, True), (tf.float32, 1e39),
        (tf.float32, 10**400), (tf.complex64, 1), (tf.qint8, 1),
        (tf.bool, 1), (tf.bool, None), (tf.string, 1), (tf.string, {"b64": 1}),
    ],
)  # fmt: skip
def test_values_that_a_dtype_does_not_hold(dtype, value):
    with pytest.raises(ServingError) as refused:
        predict_inputs({"instances": [value]}, signature(x=info(dtype, -1)))
    assert refused.value.http_status == 400


@pytest.mark.parametrize(
    "value", [[[1, 2], [3]], [[1, 2], 3], [1, [2, 3]], [[[1]], [[2]]], [], 1, [[]], {"x": 1}], ids=str
)
def test_shapes_that_an_input_does_not_have(value):
    with pytest.raises(ServingError) as refused:
        predict_inputs({"inputs": {"x": value}}, signature(x=info(tf.float32, -1, 2)))
    assert refused.value.http_status == 400


def test_any_rank_where_the_signature_names_none_but_not_beyond_reason():
    unknown = info(tf.float32)
    unknown.tensor_shape.unknown_rank = True
    assert predict_inputs({"inputs": {"x": [[[1.0]]]}}, signature(x=unknown))[0]["x"].shape == (1, 1, 1)
    deep = 1.0
    for _ in range(500):
        deep = [deep]
    with pytest.raises(ServingError, match="500 dimensions"):
        predict_inputs({"inputs": {"x": deep}}, signature(x=unknown))


def test_a_message_cannot_claim_more_than_it_holds():
    huge = TensorProto(dtype=7, string_val=[b"a"])
    for size in (10**6, 10**6):
        huge.tensor_shape.dim.add(size=size)
    with pytest.raises(ServingError, match="do not fill the shape"):
        to_array("x", huge, info(tf.string, -1, -1), 256, 1000)
    for values, size in ((3, 2), (2000, 2000)):  # more than the shape has, more than a tensor may have
        many = TensorProto(dtype=7, string_val=[b"a"] * values)
        many.tensor_shape.dim.add(size=size)
        with pytest.raises(ServingError, match="do not fill the shape|2000 values; this server takes 1000"):
            to_array("x", many, info(tf.string, -1), 256, 1000)
    repeated = TensorProto(dtype=7, string_val=[b"a"])  # TensorFlow's own short form
    repeated.tensor_shape.dim.add(size=3)
    assert to_array("x", repeated, info(tf.string, -1), 256, 1000).tolist() == [b"a"] * 3


def predictions(outputs, by_row):
    return json.loads(json_answers.predictions(outputs, by_row))


def test_answers_in_rows_and_columns():
    outputs = {"label": np.array([b"a", b"b"], object), "score": np.float32([0.2, 1e-7])}
    assert predictions(outputs, True) == {"predictions": [{"label": "a", "score": 0.2}, {"label": "b", "score": 1e-7}]}
    assert predictions(outputs, False) == {"outputs": {"label": ["a", "b"], "score": [0.2, 1e-7]}}
    assert predictions({"y": np.float32([3.5])}, True) == {"predictions": [3.5]}
    assert predictions({"y": np.float32([3.5])}, False) == {"outputs": [3.5]}
    coded = predictions({"image_bytes": np.array([b"\xff"], object)}, True)
    assert coded == {"predictions": [{"b64": "/w=="}]}
    assert predictions({"y": np.array([b"\xff a"], object)}, True) == {"predictions": ["\ufffd a"]}
    assert predictions({"y": np.float32(3.5)}, False) == {"outputs": 3.5}
    assert predictions({"y": np.zeros([2, 0])}, True) == {"predictions": [[], []]}
    assert predictions({"y": np.zeros([0])}, True) == {"predictions": []}
    with pytest.raises(ServingError, match="different numbers of rows"):
        predictions({"a": np.zeros(2), "b": np.zeros(3)}, True)


def test_many_rows_are_written_some_at_a_time_as_if_at_once(monkeypatch):
    names = np.array([[f"{row}-{column}".encode() for column in range(3)] for row in range(50)], object)
    scores = np.arange(150, dtype=np.float32).reshape(50, 3) / 7

    def written():
        labels = {"classes": names, "scores": scores}
        return [
            json_answers.predictions(labels, True), json_answers.predictions(labels, False),
            json_answers.predictions({"scores": scores}, True), json_answers.classifications(names, scores),
            json_answers.regressions(scores[:, 0]),
        ]  # fmt: skip

    at_once = written()
    monkeypatch.setattr(json_answers, "TOGETHER", 7)
    assert written() == at_once
    assert json.loads(at_once[3])["results"][49][2] == ["49-2", pytest.approx(149 / 7)]
    assert [len(json.loads(text).popitem()[1]) for text in at_once] == [50, 2, 50, 50, 50]


def test_floats_keep_their_bits():
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32) * np.float32(10) ** np.arange(-20, 20, 0.04)
    values = values.astype(np.float32)
    read = json.loads(dump({"y": shortest(values)}))["y"]
    np.testing.assert_array_equal(np.float32(read), values)
    odd = json.loads(dump({"y": shortest(np.float32([np.nan, np.inf, -np.inf]))}))["y"]
    np.testing.assert_array_equal(np.float32(odd), np.float32([np.nan, np.inf, -np.inf]))


def test_examples_of_every_kind():
    document = {"context": {"k": 7}, "examples": [{"a": "x", "b": [1.5, 2.5], "c": True, "d": {"b64": "/w"}, "e": []}]}
    given = json_examples.examples(document).example_list_with_context
    assert given.context.features.feature["k"].int64_list.value == [7]
    features = given.examples[0].features.feature
    assert features["a"].bytes_list.value == [b"x"] and features["b"].float_list.value == [1.5, 2.5]
    assert features["c"].int64_list.value == [1] and features["d"].bytes_list.value == [b"\xff"]
    assert features["e"].WhichOneof("kind") is None
    for wrong in ([{"a": [1, 1.5]}], [{"a": 2**63}], [{"a": 1e39}], [{"a": [[1]]}], [{"\ud800": "a"}], {}, [None]):
        with pytest.raises(ServingError):
            json_examples.examples({"examples": wrong})


def test_errors_quote_no_text():
    for document in (
        {"instances": [{"anna": "anna"}]},
        {"inputs": {"x": [["anna"], "anna"]}},
        {"inputs": {"x": "anna"}},
    ):
        with pytest.raises(ServingError) as refused:
            predict_inputs(document, signature(x=info(tf.string, -1)))
        assert "anna" not in refused.value.message
    assert json_tensors.type_name(None) == "Null"
    with pytest.raises(ServingError, match="offset: 1"):
        parse(b"{anna}")


@pytest.fixture(scope="module")
def half_plus_three(tmp_path_factory, start):
    """The model of TensorFlow Serving's documentation, and one of which requests cannot be put together."""
    folder = tmp_path_factory.mktemp("numbers")

    def save(name, spec, answer):
        made = tf.function(answer, autograph=False).get_concrete_function(spec)
        tf.saved_model.save(tf.Module(), str(folder / name / "123"), signatures={"serving_default": made})

    save("half_plus_three", tf.TensorSpec([None], tf.float32, name="x"), lambda x: {"y": x * 0.5 + 3.0})
    save("scalar", tf.TensorSpec([], tf.float32, name="x"), lambda x: {"y": x * 0.5 + 3.0})
    with start(folder / "half_plus_three", folder / "scalar") as running:
        yield running


def test_the_example_of_the_documentation(half_plus_three):
    answer = half_plus_three.rest("/v1/models/half_plus_three:predict", {"instances": [1.0, 2.0, 5.0]})
    assert answer == (200, {"predictions": [3.5, 4.0, 5.5]})
    assert half_plus_three.rest("/v1/models/half_plus_three/versions/123")[0] == 200
    assert half_plus_three.rest("/v1/models/half:predict", {"instances": [1.0, 5.0]}) == (
        404,
        {"error": "Servable not found for request: Latest(half)"},
    )


def test_a_model_without_a_batch_is_served_too(half_plus_three):
    assert half_plus_three.rest("/v1/models/scalar:predict", {"inputs": {"x": 1.0}}) == (200, {"outputs": 3.5})
    assert half_plus_three.rest("/v1/models/scalar:predict", {"instances": [1.0]})[0] == 400
