"""Whatever a client sends, by REST or gRPC, it is never the server's mistake: no 5xx, no INTERNAL, and it lives on.

300 examples of each kind, always the same; for a long run with others each time:

    KERASFT_FUZZ=20000 pytest tests/serving/server/test_fuzz.py [--target HOST:REST_PORT:GRPC_PORT]
"""

import contextlib
import http.client
import json
import os
from urllib.parse import quote

import grpc
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.inference_pb2 import MultiInferenceRequest
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.regression_pb2 import RegressionRequest
from tiny_models import TASKS

LONG = os.environ.get("KERASFT_FUZZ")
FUZZ = settings(
    max_examples=int(LONG or 300), deadline=None, suppress_health_check=list(HealthCheck), derandomize=not LONG,
    database=None, print_blob=True,
)  # fmt: skip
CODE = grpc.StatusCode
# What a client brings about. The local server forbids paths; TensorFlow Serving reports a bad reload as it likes.
CLIENTS = {
    CODE.OK, CODE.INVALID_ARGUMENT, CODE.NOT_FOUND, CODE.FAILED_PRECONDITION, CODE.OUT_OF_RANGE, CODE.UNIMPLEMENTED,
    CODE.PERMISSION_DENIED, CODE.RESOURCE_EXHAUSTED,
}  # fmt: skip
PREDICTION, MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
METHODS = {
    f"/{PREDICTION}/Predict": PredictRequest, f"/{PREDICTION}/Classify": ClassificationRequest,
    f"/{PREDICTION}/Regress": RegressionRequest, f"/{PREDICTION}/GetModelMetadata": GetModelMetadataRequest,
    f"/{PREDICTION}/MultiInference": MultiInferenceRequest, f"/{MODEL}/GetModelStatus": GetModelStatusRequest,
    f"/{MODEL}/HandleReloadConfigRequest": ReloadConfigRequest,
}  # fmt: skip

NAMES = st.sampled_from([*TASKS, "nobody", ""]) | st.text(max_size=4)
SIGNATURES = st.sampled_from(["", "serving_default", "classify", "regress", "tokens", "x", "__saved_model_init_op"])
INPUT_NAMES = st.sampled_from(["text", "text_pair", "question", "context", "inputs", "examples", "", "x"])
KEYS = st.sampled_from(["instances", "inputs", "signature_name", "b64"]) | INPUT_NAMES | st.text(max_size=3)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=4).map(repr),
    st.sampled_from(["YQ==", "classify", "goal match", "<e1>a</e1> <e2>b</e2>", "[MASK]", 2**63, -(2**63) - 1, 1e39]),
)  # fmt: skip
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
TEXTS = st.text(max_size=12) | st.fixed_dictionaries({"b64": st.sampled_from(["YQ==", "//4=", "%", ""])})
COLUMNS = ["text", "text_pair", "question", "context"]
ROWS = st.lists(st.dictionaries(st.sampled_from(COLUMNS), TEXTS | LEAVES, max_size=2), max_size=3)
# Near what is right, so that it gets past the first check.
DOCUMENTS = st.one_of(
    st.dictionaries(KEYS, VALUES, max_size=3),
    st.builds(lambda rows, key: {"instances": rows, "signature_name": key}, ROWS | st.lists(TEXTS), SIGNATURES),
    st.builds(lambda columns: {"inputs": columns}, st.dictionaries(st.sampled_from(COLUMNS), st.lists(TEXTS))),
    st.builds(
        lambda rows, context, key: {"examples": rows, "context": context, "signature_name": key},
        st.lists(st.dictionaries(KEYS, LEAVES | st.lists(LEAVES, max_size=3), max_size=3), max_size=3),
        st.dictionaries(KEYS, LEAVES, max_size=2), SIGNATURES,
    ),
)  # fmt: skip
SEGMENTS = st.sampled_from(
    "v1 models single_label versions labels 1 -1 99999999999999999999 metadata x .. . %2F %zz %00 :predict :classify "
    "monitoring prometheus metrics drift healthz live ready".split()
) | st.text(max_size=4).map(lambda text: quote(text, errors="replace"))
HEADERS = st.sampled_from(
    "Content-Type Content-Encoding Content-Length Transfer-Encoding Connection Expect Host Authorization Accept Range "
    "Accept-Encoding Upgrade Cookie If-None-Match X-A".split()
)
BODIES = st.sampled_from([b"", b'{"instances": ["a"]}', b"\x1f\x8b"])
HEADER_VALUES = st.sampled_from(
    "gzip deflate br identity chunked close keep-alive 100-continue 0 5 -1 1e9 bytes=0-1 websocket application/json "
    "multipart/form-data application/x-www-form-urlencoded */* Bearer".split()
) | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=10)


@pytest.fixture(autouse=True)
def lives_on(target):
    yield
    assert target.ask("/v1/models/single_label:predict", {"instances": ["a"]})["predictions"]


def status_of(target, path, body=None, method="POST", headers=()):
    status, text = target.send(path, body, method, dict(headers))
    assert status < 500, (method, path, status, text)
    return status, text


@FUZZ
@given(st.sampled_from(list(TASKS)), DOCUMENTS, st.sampled_from(["predict", "classify", "regress"]), st.integers(0, 99))
def test_documents(target, name, document, method, cut):
    body = json.dumps(document).encode("utf-8", "surrogatepass")
    for each in (body, body[: len(body) * cut // 100]):
        status, text = status_of(target, f"/v1/models/{name}:{method}", each)
        assert isinstance(json.loads(text), dict) and (status == 200) == ("error" not in json.loads(text))


@FUZZ
@given(st.binary(max_size=60))
def test_bodies(target, body):
    for each in (body, b'{"instances": [' + body + b"]}", b'{"instances": ["' + body + b'"]}'):
        status_of(target, "/v1/models/single_label:predict", each)


@FUZZ
@given(
    st.lists(SEGMENTS, max_size=6),
    st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "HEAD", "PATCH", "DELETE", "TRACE", "X"]),
    st.sampled_from(["", "?", "?a=b&a", "?%zz"]),
)
def test_paths_and_methods(target, segments, method, query):
    path = "/" + "/".join(segments)
    for each in (path, f"{path}:predict"):
        body = b'{"instances": ["a"]}' if method == "POST" else None
        status_of(target, each.replace("/:", ":") + query, body, method)


@FUZZ
@given(
    st.dictionaries(HEADERS, HEADER_VALUES, max_size=4), st.sampled_from([b"", b'{"instances": ["a"]}', b"\x1f\x8b"])
)
def test_headers(target, headers, body):
    """A length or encoding that is not that of the body may end the connection, unanswered or refused."""
    lines = [f"{name}: {value}".encode("latin-1") for name, value in headers.items()]
    head = b"\r\n".join([b"POST /v1/models/single_label:predict HTTP/1.1", *lines, b"", b""])
    assert_no_fault(answer_to(target, head + body))


@FUZZ
@given(st.binary(max_size=80), st.sampled_from([b"", b"GET ", b"POST /v1/models/single_label:predict HTTP/1.1\r\n"]))
def test_bytes_that_may_be_no_http(target, sent, before):
    assert_no_fault(answer_to(target, before + sent))


def answer_to(target, sent):
    """The first bytes that come back, after the client has said all that it will."""
    with target.raw() as connection, contextlib.suppress(OSError):
        connection.sendall(sent)
        connection.shutdown(1)
        return connection.recv(4096)
    return b""


def assert_no_fault(answer):
    if answer:
        version, _, status = answer.partition(b" ")
        assert version.startswith(b"HTTP/"), answer
        # 501 and 505 are the answers to methods and versions of HTTP that there are not
        assert status[:1] in b"1234" or status[:3] in (b"501", b"505"), answer


def code_of(target, path, sent, metadata=()):
    try:
        target.channel.unary_unary(path)(sent, timeout=120, metadata=metadata)
    except grpc.RpcError as error:
        return error.code()
    return CODE.OK


@FUZZ
@given(st.sampled_from(list(METHODS)), st.binary(max_size=60))
def test_messages_of_any_bytes(target, path, sent):
    try:
        METHODS[path].FromString(sent)
        right = CLIENTS
    except DecodeError:
        right = {*CLIENTS, CODE.INTERNAL, CODE.UNKNOWN}  # gRPC's own word for what is no message
    assert code_of(target, path, sent) in right


SPECS = st.tuples(NAMES, SIGNATURES, st.none() | st.integers(-(2**63), 2**63 - 1), st.sampled_from(["", "", "x", "\0"]))


def fill_spec(spec, asked):
    spec.name, spec.signature_name, version, label = asked
    if version is not None:
        spec.version.value = version
    elif label:
        spec.version_label = label


FILTERS = st.lists(st.sampled_from(["label", "x", ""]), max_size=2)


@st.composite
def tensors(draw):
    """Any dtype and shape; in half of them a right one of strings."""
    made = TensorProto(dtype=draw(st.just(7) | st.integers(0, 32) | st.sampled_from([99, 101, 107, -1])))
    values = draw(st.lists(st.binary(max_size=6), max_size=4))
    sizes = [len(values)] if draw(st.booleans()) else draw(st.lists(st.integers(-2, 4) | st.just(2**40), max_size=4))
    for size in sizes:
        made.tensor_shape.dim.add(size=size)
    made.tensor_shape.unknown_rank = draw(st.sampled_from([False, False, False, True]))
    made.string_val.extend(values)
    made.float_val.extend(draw(st.lists(st.floats(width=32), max_size=3)))
    made.int_val.extend(draw(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3)))
    made.int64_val.extend(draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=2)))
    made.half_val.extend(draw(st.lists(st.integers(0, 70_000), max_size=2)))
    made.tensor_content = draw(st.just(b"") | st.binary(max_size=16))
    made.version_number = draw(st.integers(0, 3))
    return made


@FUZZ
@given(
    SPECS,
    st.dictionaries(INPUT_NAMES, tensors(), max_size=3),
    st.lists(st.sampled_from(["label", "x", ""]), max_size=2),
)
def test_tensors(target, spec, inputs, outputs):
    request = PredictRequest(output_filter=outputs)
    fill_spec(request.model_spec, spec)
    for name, made in inputs.items():
        request.inputs[name].CopyFrom(made)
    assert code_of(target, f"/{PREDICTION}/Predict", request.SerializeToString()) in CLIENTS


@st.composite
def examples(draw, made):
    for name in draw(st.lists(INPUT_NAMES, max_size=3)):
        kind = draw(st.sampled_from(["bytes_list", "float_list", "int64_list", None]))
        feature = made.features.feature[name]
        if kind == "bytes_list":
            feature.bytes_list.value.extend(draw(st.lists(st.binary(max_size=6), max_size=2)))
        elif kind == "float_list":
            feature.float_list.value.extend(draw(st.lists(st.floats(width=32), max_size=2)))
        elif kind == "int64_list":
            feature.int64_list.value.extend(draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=2)))


@FUZZ
@given(st.data(), SPECS, st.sampled_from(["Classify", "Regress"]), st.integers(0, 3), st.booleans())
def test_examples(target, data, spec, method, count, with_context):
    request = METHODS[f"/{PREDICTION}/{method}"]()
    fill_spec(request.model_spec, spec)
    given_ = request.input.example_list_with_context if with_context else request.input.example_list
    if with_context:
        data.draw(examples(given_.context))
    for _ in range(count):
        data.draw(examples(given_.examples.add()))
    assert code_of(target, f"/{PREDICTION}/{method}", request.SerializeToString()) in CLIENTS


@FUZZ
@given(SPECS, st.lists(st.sampled_from(["signature_def", "x", ""]), max_size=3))
def test_questions_about_models(target, spec, fields):
    metadata = GetModelMetadataRequest(metadata_field=fields)
    status = GetModelStatusRequest()
    for request, path in ((metadata, f"/{PREDICTION}/GetModelMetadata"), (status, f"/{MODEL}/GetModelStatus")):
        fill_spec(request.model_spec, spec)
        assert code_of(target, path, request.SerializeToString()) in CLIENTS


@FUZZ
@given(
    st.lists(
        st.tuples(NAMES, st.sampled_from(["/etc", "/", "..", "", "\0", "/nowhere/1"]), st.text(max_size=10)), max_size=3
    )
)
def test_reloads_of_anything_change_nothing(target, models):
    request = ReloadConfigRequest()
    for name, path, platform in models:
        request.config.model_config_list.config.add(name=name, base_path=path, model_platform=platform or "tensorflow")
    request.config.model_config_list.SetInParent()
    assert code_of(target, f"/{MODEL}/HandleReloadConfigRequest", request.SerializeToString()) in CLIENTS - {CODE.OK}
    assert target.send("/v1/models/single_label")[0] == 200


@FUZZ
@given(
    st.lists(
        st.tuples(st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True), st.text("ab%=;,", max_size=9)), max_size=3
    )
)
def test_metadata_of_calls(target, metadata):
    plain = [(key, value) for key, value in metadata if not key.endswith("-bin") and not key.startswith("grpc")]
    sent = GetModelStatusRequest().SerializeToString()
    assert code_of(target, f"/{MODEL}/GetModelStatus", sent, plain) in CLIENTS


def test_http_of_another_age(target):
    """What http.client would not send."""
    for line in (b"GET /v1/models/single_label HTTP/0.9", b"GET /v1/models/single_label HTTP/9.9", b"GET"):
        assert_no_fault(answer_to(target, line + b"\r\n\r\n"))
    with contextlib.closing(http.client.HTTPConnection(*target.address, timeout=60)) as connection:
        connection.request("GET", "/v1/models/single_label")
        assert connection.getresponse().status == 200
