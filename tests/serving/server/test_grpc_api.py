"""Versions and labels by gRPC mean what they mean by REST, and what there is not is UNIMPLEMENTED."""

import inspect
import shutil

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from kerasft.serving.server.grpc_api import ModelService, PredictionService
from kerasft.serving.server.grpc_health import HealthService

CONFIG = (
    'model_config_list {{ config {{ name: "m" base_path: "{}" model_platform: "tensorflow" '
    'model_version_policy {{ specific {{ versions: 1 versions: 2 }} }} '
    'version_labels {{ key: "stable" value: 1 }} version_labels {{ key: "canary" value: 2 }} }} }}'
)  # fmt: skip
WHICH = {"": {}, "/versions/1": {"version": 1}, "/versions/2": {"version": 2}, "/labels/stable": {"label": "stable"}}
NUMBERS = {"": 2, "/versions/1": 1, "/versions/2": 2, "/labels/stable": 1}


@pytest.fixture(scope="module")
def running(exported, other_version, start, tmp_path_factory):
    """Versions 1 and 2 of a model, and a third that the policy leaves out."""
    folder = tmp_path_factory.mktemp("labelled") / "single_label"
    shutil.copytree(exported("single_label"), folder)
    for number in ("2", "3"):
        shutil.copytree(other_version, folder / number)
    file = folder.parent / "models.config"
    file.write_text(CONFIG.format(folder))
    with start(config_file=file) as started:
        yield started


def asked(kind, which, **fields):
    request = kind(**fields)
    request.model_spec.name = "m"
    if "version" in which:
        request.model_spec.version.value = which["version"]
    if "label" in which:
        request.model_spec.version_label = which["label"]
    return request


@pytest.mark.parametrize("path", WHICH)
def test_versions_and_labels(running, path):
    which, number = WHICH[path], NUMBERS[path]
    status, by_rest = running.rest(f"/v1/models/m{path}:predict", {"instances": ["goal match"]})
    assert status == 200
    with running.channel() as channel:
        predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = asked(PredictRequest, which)
        request.inputs["text"].CopyFrom(tf.make_tensor_proto(["goal match"]))
        response = predictions.Predict(request, timeout=60)
        assert response.model_spec.version.value == number
        assert response.outputs["score"].float_val[0] == pytest.approx(by_rest["predictions"][0]["score"], abs=1e-6)
        classify = asked(ClassificationRequest, which)
        classify.model_spec.signature_name = "classify"
        features = classify.input.example_list.examples.add().features
        features.feature["text"].bytes_list.value.append(b"goal match")
        found = predictions.Classify(classify, timeout=60)
        assert found.model_spec.version.value == number
        scores = [each.score for each in found.result.classifications[0].classes]
        assert scores == pytest.approx(by_rest["predictions"][0]["probabilities"], abs=1e-6)
        metadata = asked(GetModelMetadataRequest, which, metadata_field=["signature_def"])
        assert predictions.GetModelMetadata(metadata, timeout=60).model_spec.version.value == number
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        versions = models.GetModelStatus(asked(GetModelStatusRequest, which), timeout=60).model_version_status
        assert [each.version for each in versions] == ([number] if which else [2, 1])
    by_rest = running.rest(f"/v1/models/m{path}")[1]["model_version_status"]
    assert [int(each["version"]) for each in by_rest] == [each.version for each in versions]
    assert running.rest(f"/v1/models/m{path}/metadata")[1]["model_spec"]["version"] == str(number)


@pytest.mark.parametrize(("which", "code"), [({"version": 3}, "NOT_FOUND"), ({"label": "x"}, "INVALID_ARGUMENT")])
def test_versions_and_labels_that_are_not_served(running, which, code):
    with running.channel() as channel, pytest.raises(grpc.RpcError) as failed:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(asked(PredictRequest, which), timeout=60)
    assert failed.value.code() is grpc.StatusCode[code]


def test_two_versions_answer_differently(running):
    answers = [running.rest(f"/v1/models/m{path}:predict", {"instances": ["goal"]})[1] for path in WHICH]
    assert answers[0] == answers[2] != answers[1] == answers[3]


NOT_SERVED = [
    "tensorflow.serving.SessionService/SessionRun",
    "tensorflow.serving.PredictionService/MultiInference",
    "grpc.health.v1.Health/List",
]


@pytest.mark.parametrize("method", NOT_SERVED)
def test_what_there_is_not(running, method):
    with running.channel() as channel, pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary(f"/{method}")(b"", timeout=60)
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("service", [PredictionService, ModelService, HealthService])
def test_no_method_is_left_to_threads(service):
    """gRPC's loop runs coroutines; a plain method would be run in a thread, where it may never be answered."""
    methods = [getattr(service, name) for name in dir(service) if name[0].isupper() and not name.isupper()]
    assert methods
    assert all(inspect.iscoroutinefunction(method) for method in methods)
