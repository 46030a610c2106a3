"""One set of requests, written from TensorFlow Serving's documented API, that any server of it must answer alike.

By default it asks a local server. To ask TensorFlow Serving itself:

    PYTHONPATH=.:tests python tests/support/tiny_models.py /tmp/models
    tensorflow_model_server --port=8500 --rest_api_port=8501 --model_config_file=/tmp/models/models.config
    pytest tests/serving/server/test_conformance.py --target localhost:8501:8500

https://www.tensorflow.org/tfx/serving/api_rest and the protos of tensorflow-serving-api. Where those leave it open, a
set of statuses is right. What a server must never answer is the same everywhere: a 5xx or INTERNAL for what a client
did.
"""

import base64
import contextlib
import gzip
import http.client
import json
import socket
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.regression_pb2 import RegressionRequest
from tiny_models import TASKS, make_task

ROWS = 3
METHODS = {"tensorflow/serving/classify": "classify", "tensorflow/serving/regress": "regress"}
CLIENT_ERRORS = {  # what a client can bring about
    grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OUT_OF_RANGE,
}  # fmt: skip


def inputs_of(name):
    """{input: texts}, a short one and longer ones."""
    # what hides a word is the vocabulary's, which a task without a model does not know
    sample = {"text": "a [MASK] in it"} if name == "masked_lm" else make_task(name, Path("none")).sample()
    return {column: [text, f"{text} {text}", f"caf\u00e9 \U0001f40d {text}"] for column, text in sample.items()}


def rows_of(columns):
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def signatures(target, name):
    document = target.ask(f"/v1/models/{name}/metadata")
    assert document["model_spec"]["name"] == name and document["model_spec"]["version"] == "1"
    return document["metadata"]["signature_def"]["signature_def"]


def assert_same(got, expected):
    """Answers of JSON, floats alike but for the last digits."""
    if isinstance(expected, dict):
        assert set(got) == set(expected)
        for key in expected:
            assert_same(got[key], expected[key])
    elif isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert got == pytest.approx(expected, abs=1e-4)
    else:
        assert got == expected


@pytest.mark.parametrize("name", TASKS)
def test_documented_forms_of_predict(target, name):
    columns = inputs_of(name)
    path = f"/v1/models/{name}:predict"
    outputs = target.ask(path, {"inputs": columns})["outputs"]
    predictions = target.ask(path, {"instances": rows_of(columns)})["predictions"]
    assert len(predictions) == ROWS
    fetched = signatures(target, name)["serving_default"]["outputs"]
    if len(fetched) == 1:  # its name is left out
        assert_same(predictions, outputs)
        outputs = {next(iter(fetched)): outputs}
    else:
        assert set(outputs) == set(fetched) == set(predictions[0])
        assert_same(predictions, rows_of(outputs))
    coded = {
        key: [{"b64": base64.b64encode(text.encode()).decode()} for text in texts] for key, texts in columns.items()
    }
    for body, where in (
        ({"inputs": coded}, path),
        ({"instances": rows_of(coded)}, path),
        ({"instances": rows_of(columns), "signature_name": "serving_default"}, f"/v1/models/{name}/versions/1:predict"),
        ({"instances": rows_of(columns)}, f"/V1/Models/{name}:PREDICT"),
    ):
        answer = target.ask(where, body)
        if "outputs" in answer:
            assert_same(answer["outputs"] if len(fetched) > 1 else {next(iter(fetched)): answer["outputs"]}, outputs)
        else:
            assert_same(answer["predictions"], predictions)
    if len(columns) == 1:
        assert_same(target.ask(path, {"instances": next(iter(columns.values()))})["predictions"], predictions)


@pytest.mark.parametrize("name", TASKS)
def test_grpc_answers_what_rest_answers(target, name):
    columns = inputs_of(name)
    request = predict_request(name, columns)
    response = target.predictions.Predict(request, timeout=120)
    assert (response.model_spec.name, response.model_spec.version.value) == (name, 1)
    assert response.model_spec.signature_name == "serving_default"
    outputs = target.ask(f"/v1/models/{name}:predict", {"inputs": columns})["outputs"]
    if len(response.outputs) == 1:
        outputs = {next(iter(response.outputs)): outputs}
    for key, tensor in response.outputs.items():
        array = tf.make_ndarray(tensor)
        assert array.shape[0] == ROWS
        if tensor.dtype == tf.string.as_datatype_enum:
            assert np.vectorize(bytes.decode, otypes=[object])(array).tolist() == outputs[key]
        else:
            np.testing.assert_allclose(array, np.asarray(outputs[key], array.dtype).reshape(array.shape), atol=1e-4)
    first = sorted(response.outputs)[0]
    request.output_filter.append(first)
    assert list(target.predictions.Predict(request, timeout=120).outputs) == [first]


def predict_request(name, columns, **spec):
    request = PredictRequest()
    request.model_spec.name = name
    for key, texts in columns.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(texts, tf.string))
    for key, value in spec.items():
        setattr(request.model_spec, key, value)
    return request


@pytest.mark.parametrize("name", TASKS)
def test_classify_and_regress_by_both_apis(target, name):
    columns = inputs_of(name)
    examples = rows_of(columns)
    for key, signature in signatures(target, name).items():
        method = METHODS.get(signature["method_name"])
        if method is None:
            continue
        path = f"/v1/models/{name}:{method}"
        results = target.ask(path, {"signature_name": key, "examples": examples})["results"]
        assert len(results) == ROWS
        listed = [{column: [text] for column, text in row.items()} for row in examples]
        assert_same(target.ask(path, {"signature_name": key, "examples": listed})["results"], results)
        # features that all examples share
        context, alone = {column: texts[0] for column, texts in columns.items()}, [{}]
        body = {"signature_name": key, "context": context, "examples": alone}
        assert_same(target.ask(path, body)["results"], results[:1])
        request = (ClassificationRequest if method == "classify" else RegressionRequest)()
        request.model_spec.name, request.model_spec.signature_name = name, key
        for row in examples:
            features = request.input.example_list.examples.add().features
            for column, text in row.items():
                features.feature[column].bytes_list.value.append(text.encode())
        if method == "classify":
            found = target.predictions.Classify(request, timeout=120).result.classifications
            assert_same([[[each.label, each.score] for each in row.classes] for row in found], results)
        else:
            found = target.predictions.Regress(request, timeout=120).result.regressions
            assert_same([each.value for each in found], results)
        # a missing feature is an error, not an empty text
        assert target.send(path, {"signature_name": key, "examples": [{"txet": "a"}]})[0] == 400
        assert target.send(path, {"examples": examples})[0] == 400  # serving_default is a Predict


@pytest.mark.parametrize("name", TASKS)
def test_status_and_metadata_by_both_apis(target, name):
    ok = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in (f"/v1/models/{name}", f"/v1/models/{name}/versions/1"):
        assert target.ask(path) == {"model_version_status": [ok]}
    status = GetModelStatusRequest()
    status.model_spec.name = name
    (version,) = target.models.GetModelStatus(status, timeout=60).model_version_status
    assert (version.version, version.State.Name(version.state), version.status.error_code) == (1, "AVAILABLE", 0)
    request = GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = name
    found = SignatureDefMap()
    target.predictions.GetModelMetadata(request, timeout=60).metadata["signature_def"].Unpack(found)
    by_rest = {key: value for key, value in signatures(target, name).items() if not key.startswith("__")}
    assert {key for key in found.signature_def if not key.startswith("__")} == set(by_rest)
    assert all(found.signature_def[key].method_name == by_rest[key]["method_name"] for key in by_rest)


ONE = "/v1/models/single_label"
# What is asked, and the statuses that are right.
WRONG = {
    "no body": (f"{ONE}:predict", b"", {400}),
    "no JSON": (f"{ONE}:predict", b"text", {400}),
    "cut JSON": (f"{ONE}:predict", b'{"instances": [{"text": "a"}', {400}),
    "two documents": (f"{ONE}:predict", b'{"instances": ["a"]} {}', {400}),
    "nested 100,000 deep": (f"{ONE}:predict", b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", {400}),
    "a number of 10,000 digits": (f"{ONE}:predict", b'{"instances": [' + b"9" * 10_000 + b"]}", {400}),
    "a list": (f"{ONE}:predict", ["a"], {400}),
    "null": (f"{ONE}:predict", b"null", {400}),
    "neither rows nor columns": (f"{ONE}:predict", {"text": ["a"]}, {400}),
    "rows and columns": (f"{ONE}:predict", {"instances": ["a"], "inputs": ["a"]}, {400}),
    "rows that are no list": (f"{ONE}:predict", {"instances": {"text": "a"}}, {400}),
    "no rows": (f"{ONE}:predict", {"instances": []}, {400}),
    "no rows in columns": (f"{ONE}:predict", {"inputs": {"text": []}}, {200, 400}),
    "a number for a text": (f"{ONE}:predict", {"instances": [{"text": 7}]}, {400}),
    "null for a text": (f"{ONE}:predict", {"instances": [{"text": None}]}, {400}),
    "true for a text": (f"{ONE}:predict", {"instances": [True]}, {400}),
    "an object for a text": (f"{ONE}:predict", {"instances": [{"text": {"a": "b"}}]}, {400}),
    "a text in a list": (f"{ONE}:predict", {"instances": [{"text": ["a"]}]}, {400}),
    "texts of several ranks": (f"{ONE}:predict", {"instances": [{"text": "a"}, {"text": ["a"]}]}, {400}),
    "a scalar column": (f"{ONE}:predict", {"inputs": {"text": "a"}}, {400}),
    "a column of rank 2": (f"{ONE}:predict", {"inputs": {"text": [["a"], ["b"]]}}, {400}),
    "a ragged column": (f"{ONE}:predict", {"inputs": {"text": [["a"], ["b", "c"]]}}, {400}),
    "a missing key": (f"{ONE}:predict", {"instances": [{}]}, {400}),
    "a misspelt key": (f"{ONE}:predict", {"instances": [{"txet": "a"}]}, {400}),
    "a key too many": (f"{ONE}:predict", {"instances": [{"text": "a", "more": "b"}]}, {400}),
    "a missing column": (f"{ONE}:predict", {"inputs": {"txet": ["a"]}}, {400}),
    "one of two inputs": ("/v1/models/regression:predict", {"instances": [{"text": "a"}]}, {400}),
    "names left out of two": ("/v1/models/regression:predict", {"instances": ["a"]}, {400}),
    "columns of two lengths": (
        "/v1/models/regression:predict", {"inputs": {"text": ["a"], "text_pair": ["a", "b"]}}, {400},
    ),
    "objects and values": (f"{ONE}:predict", {"instances": [{"text": "a"}, "b"]}, {400}),
    "no base64": (f"{ONE}:predict", {"instances": [{"text": {"b64": "%%%"}}]}, {400}),
    "base64 of a number": (f"{ONE}:predict", {"instances": [{"text": {"b64": 7}}]}, {400}),
    "half a surrogate pair": (f"{ONE}:predict", b'{"instances": ["\\ud800"]}', {400}),
    "an unknown signature": (f"{ONE}:predict", {"instances": ["a"], "signature_name": "x"}, {400}),
    "a signature that is no string": (f"{ONE}:predict", {"instances": ["a"], "signature_name": 1}, {400}),
    "classify without examples": (f"{ONE}:classify", {"signature_name": "classify"}, {400}),
    "classify with no examples": (f"{ONE}:classify", {"signature_name": "classify", "examples": []}, {400}),
    "an example that is no object": (f"{ONE}:classify", {"signature_name": "classify", "examples": ["a"]}, {400}),
    "bytes that are no example": (
        f"{ONE}:predict", {"signature_name": "classify", "instances": [{"b64": "bm8gZXhhbXBsZSD/"}]}, {400},
    ),
    "a number for a feature": (f"{ONE}:classify", {"signature_name": "classify", "examples": [{"text": 1}]}, {400}),
    "null for a feature": (f"{ONE}:classify", {"signature_name": "classify", "examples": [{"text": None}]}, {400}),
    "a feature of mixed types": (
        f"{ONE}:classify", {"signature_name": "classify", "examples": [{"text": ["a", 1]}]}, {400},
    ),
    "regress of a classifier": (f"{ONE}:regress", {"signature_name": "classify", "examples": [{"text": "a"}]}, {400}),
    "an unknown model": ("/v1/models/nobody:predict", {"instances": ["a"]}, {404}),
    "an unknown model's status": ("/v1/models/nobody", None, {404}),
    "an unknown model's metadata": ("/v1/models/nobody/metadata", None, {404}),
    "an unknown version": (f"{ONE}/versions/99:predict", {"instances": ["a"]}, {404}),
    "an unknown version's status": (f"{ONE}/versions/99", None, {404}),
    "a version that is no number": (f"{ONE}/versions/x:predict", {"instances": ["a"]}, {400}),
    "a version beyond int64": (f"{ONE}/versions/99999999999999999999:predict", {"instances": ["a"]}, {400}),
    "an unknown label": (f"{ONE}/labels/nobody:predict", {"instances": ["a"]}, {400, 404}),
    "no model": ("/v1/models", None, {400, 200}),  # the local server lists its models
    "an unknown method": (f"{ONE}:explain", {"instances": ["a"]}, {400}),
    "a path with dots": ("/v1/models/../../etc/passwd:predict", {"instances": ["a"]}, {400, 404}),
    "a name with coded slashes": ("/v1/models/%2e%2e%2fetc:predict", {"instances": ["a"]}, {400, 404}),
    "a name that is no UTF-8": ("/v1/models/%ff%fe:predict", {"instances": ["a"]}, {400, 404}),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_in_json(target, case):
    path, body, statuses = WRONG[case]
    status, text = target.send(path, body)
    assert status in statuses, text
    if status != 200:
        assert isinstance(json.loads(text)["error"], str) and json.loads(text)["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", f"{ONE}:predict"), ("PUT", f"{ONE}:predict"), ("DELETE", ONE), ("POST", ONE), ("HEAD", f"{ONE}:predict")],
)
def test_other_methods_are_refused(target, method, path):
    assert target.send(path, b"{}" if method in ("PUT", "POST") else None, method=method)[0] in (400, 404, 405)


def test_a_path_outside_the_api_is_not_found(target):
    for path in ("/v2/models/single_label", "/etc/passwd", "/v1x"):
        assert target.send(path)[0] == 404


def test_bytes_that_are_no_utf8(target):
    broken = base64.b64encode(b"\xff\xfe goal").decode()
    assert target.ask(f"{ONE}:predict", {"instances": [{"text": {"b64": broken}}]})["predictions"]
    status, text = target.send(f"{ONE}:predict", b'{"instances": ["\xff\xfe"]}')
    assert status in (200, 400), text


def test_numbers_that_are_no_json_are_read(target):
    # the API allows them; here they are in a key that is not used
    status, text = target.send(f"{ONE}:predict", b'{"instances": ["a"], "more": [NaN, Infinity, -Infinity]}')
    assert status == 200, text


def test_a_huge_body_is_answered_or_refused_and_the_server_lives(target):
    for size in (10 * 2**20, 70 * 2**20):
        try:
            status, _ = target.send(f"{ONE}:predict", b'{"instances": ["' + b"a" * size + b'"]}')
            assert status in (200, 400, 413)
        except OSError:
            pass  # the connection is closed before the body is sent
    assert target.ask(f"{ONE}:predict", {"instances": ["a"]})


def test_a_compressed_body_cannot_grow_without_bound(target):
    bomb = gzip.compress(b'{"instances": ["' + b"a" * (64 * 2**20) + b'"]}')
    status, _ = target.send(f"{ONE}:predict", bomb, headers={"Content-Encoding": "gzip"})
    assert status in (200, 400, 413)
    assert target.ask(f"{ONE}:predict", {"instances": ["a"]})


def head(length, path=f"{ONE}:predict"):
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_slow_client_is_answered_and_holds_up_nobody(target):
    body = json.dumps({"instances": ["goal match"]}).encode()
    message = head(len(body)) + body
    with target.raw() as slow:
        for place in range(0, len(message), 16):
            slow.sendall(message[place : place + 16])
            if place % 64 == 0:
                assert target.send(ONE)[0] == 200  # another client, meanwhile
        assert slow.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /v1/mod",
        head(100),
        head(100) + b'{"instances": ["a',
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=range(10),
)
def test_cut_and_broken_connections_leave_the_server_well(target, sent):
    with target.raw() as connection:
        with contextlib.suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4096)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 4") or answer.startswith(b"HTTP/1.0 4"), answer
    assert target.ask(f"{ONE}:predict", {"instances": ["a"]})


def test_a_chunked_body_and_a_connection_that_stays(target):
    with contextlib.closing(http.client.HTTPConnection(*target.address, timeout=60)) as connection:
        for _ in range(2):
            body = iter([b'{"instances": ', b'["a", ', b'"b"]}'])
            connection.request(
                "POST", f"{ONE}:predict", body, encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
            )
            response = connection.getresponse()
            assert response.status == 200 and len(json.loads(response.read())["predictions"]) == 2


def tensor(**fields):
    shape = fields.pop("shape", None)
    made = TensorProto(dtype=fields.pop("dtype", 7), **fields)
    for size in shape if shape is not None else ():
        made.tensor_shape.dim.add(size=size)
    return made


GRPC_WRONG = {
    "a number for a text": tensor(dtype=1, shape=[1], float_val=[1.0]),
    "no dtype": tensor(dtype=0, shape=[1], string_val=[b"a"]),
    "an unknown dtype": tensor(dtype=99, shape=[1], string_val=[b"a"]),
    "a scalar": tensor(string_val=[b"a"]),
    "rank 2": tensor(shape=[1, 1], string_val=[b"a"]),
    "more values than the shape has": tensor(shape=[1], string_val=[b"a", b"b"]),
    "a negative size": tensor(shape=[-1], string_val=[b"a"]),
    "a shape beyond all memory": tensor(shape=[2**40], string_val=[b"a"]),
    "a shape beyond int64": tensor(shape=[2**62, 2**62], string_val=[b"a"]),
    "content that is no strings": tensor(shape=[3], tensor_content=b"\xff\xff\xff\xff"),
}


def code_of(call, request):
    try:
        call(request, timeout=120)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("case", GRPC_WRONG)
def test_wrong_tensors_are_the_clients_mistake(target, case):
    request = predict_request("single_label", {})
    request.inputs["text"].CopyFrom(GRPC_WRONG[case])
    assert code_of(target.predictions.Predict, request) in CLIENT_ERRORS


def test_wrong_requests_by_grpc(target):
    predict, code = target.predictions.Predict, grpc.StatusCode
    good = {"text": ["a"]}
    assert code_of(predict, predict_request("", good)) is code.INVALID_ARGUMENT
    assert code_of(predict, predict_request("nobody", good)) is code.NOT_FOUND
    assert code_of(predict, predict_request("single_label", good, version_label="x")) in CLIENT_ERRORS
    assert code_of(predict, predict_request("single_label", good, signature_name="x")) is code.FAILED_PRECONDITION
    for inputs in ({}, {"txet": ["a"]}, {"text": ["a"], "more": ["a"]}):
        assert code_of(predict, predict_request("single_label", inputs)) is code.INVALID_ARGUMENT
    unknown = predict_request("single_label", good)
    unknown.output_filter.append("x")
    assert code_of(predict, unknown) is code.INVALID_ARGUMENT
    version = predict_request("single_label", good)
    version.model_spec.version.value = 99
    assert code_of(predict, version) is code.NOT_FOUND
    request = ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "single_label", "classify"
    assert code_of(target.predictions.Classify, request) is code.INVALID_ARGUMENT  # Input is empty.
    request.input.example_list.examples.add().features.feature["text"].int64_list.value.append(1)
    assert code_of(target.predictions.Classify, request) is code.INVALID_ARGUMENT
    request.model_spec.signature_name = "serving_default"
    assert code_of(target.predictions.Classify, request) is code.INVALID_ARGUMENT
    assert code_of(target.predictions.GetModelMetadata, GetModelMetadataRequest()) is code.INVALID_ARGUMENT
    assert code_of(target.models.GetModelStatus, GetModelStatusRequest()) is code.INVALID_ARGUMENT
    fields = GetModelMetadataRequest(metadata_field=["x"])
    fields.model_spec.name = "single_label"
    assert code_of(target.predictions.GetModelMetadata, fields) is code.INVALID_ARGUMENT


def test_bytes_that_are_no_message(target):
    call = target.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    for sent in (b"\xff\xff\xff", b"\x0a\xff"):
        assert code_of(call, sent) in {*CLIENT_ERRORS, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
    unknown = target.channel.unary_unary("/tensorflow.serving.PredictionService/Nothing")
    assert code_of(unknown, b"") is grpc.StatusCode.UNIMPLEMENTED
    assert code_of(target.predictions.Predict, predict_request("single_label", {"text": ["a"]})) is grpc.StatusCode.OK
