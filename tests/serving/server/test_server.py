"""A started server answers as the model does in this process, over both of its ports, and ends in order."""

import http.client
import json
import shutil
import socket
import threading
import time
from dataclasses import replace

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.text_format import Parse
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
from tensorflow_serving.apis.predict_pb2 import PredictRequest

from kerasft.errors import ServableError, UserError
from kerasft.inference.export import Export
from kerasft.serving.server.event_log import EventLog
from kerasft.serving.server.server import Server

TEXTS = ["goal match", "", "the bank \U0001f40d stock " * 30, "b\u00e4r"]
PREDICT = "/v1/models/single_label:predict"


@pytest.fixture(scope="module")
def expected(exported):
    return Export.open(exported("single_label")).load().answer({"text": TEXTS})


def predict_request(texts=TEXTS, **spec):
    request = PredictRequest(**spec)
    request.model_spec.name = "single_label"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(texts, tf.string))
    return request


def test_rest_answers_as_the_model_does(running, expected):
    status, rows = running.rest(PREDICT, {"instances": [{"text": text} for text in TEXTS]})
    assert status == 200
    assert [row["label"].encode() for row in rows["predictions"]] == expected["label"].tolist()
    got = np.float32([row["probabilities"] for row in rows["predictions"]])
    np.testing.assert_array_equal(got, expected["probabilities"])  # floats survive the JSON
    status, columns = running.rest(PREDICT, {"inputs": {"text": TEXTS}})
    assert columns["outputs"]["label"] == [row["label"] for row in rows["predictions"]]
    assert running.rest(PREDICT, {"instances": TEXTS}) == (200, rows)  # the only input needs no name


def test_floats_are_written_with_the_digits_they_have(running):
    with_body = json.dumps({"instances": ["goal"]}).encode()
    connection = running.http()
    connection.request("POST", PREDICT, with_body)
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "application/json"
    (row,) = json.loads(response.read(), parse_float=str)["predictions"]
    assert all(len(number.lstrip("0.")) <= 9 for number in row["probabilities"])


def test_grpc_answers_as_the_model_does(running, expected):
    with running.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(predict_request(), timeout=60)
        assert (response.model_spec.name, response.model_spec.version.value) == ("single_label", 1)
        assert response.model_spec.signature_name == "serving_default"
        for name, values in expected.items():
            np.testing.assert_array_equal(tf.make_ndarray(response.outputs[name]), values)
        # clients of TensorFlow Serving read the typed fields
        assert list(response.outputs["score"].float_val) == expected["score"].tolist()
        only = stub.Predict(predict_request(output_filter=["label"]), timeout=60)
        assert list(only.outputs) == ["label"]
        request = ClassificationRequest()
        request.model_spec.name, request.model_spec.signature_name = "single_label", "classify"
        example = request.input.example_list.examples.add()
        example.features.feature["text"].bytes_list.value.append(TEXTS[0].encode())
        (classes,) = stub.Classify(request, timeout=60).result.classifications
        assert [each.score for each in classes.classes] == pytest.approx(expected["probabilities"][0].tolist())
        assert [each.label for each in classes.classes] == ["sport", "trade", "two\nlines"]


def test_metadata_and_status_by_grpc(running):
    with running.channel() as channel:
        request = GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = "single_label"
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).GetModelMetadata(request, timeout=60)
        found = SignatureDefMap()
        assert response.metadata["signature_def"].Unpack(found)
        assert set(found.signature_def) == {"serving_default", "classify", "tokens"}
        status = GetModelStatusRequest()
        status.model_spec.name = "single_label"
        (version,) = (
            model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(status, timeout=60).model_version_status
        )
        assert (version.version, version.State.Name(version.state)) == (1, "AVAILABLE")
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "tensorflow.serving.PredictionService"):
            assert health.Check(health_pb2.HealthCheckRequest(service=service), timeout=60).status == 1


def test_a_clients_deadline_is_kept(running):
    with running.channel() as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as failed:
            stub.Predict(predict_request(), timeout=1e-6)
        assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def reload(channel, base_path, more="", name="single_label"):
    request = ReloadConfigRequest()
    config = f'name: "{name}" base_path: "{base_path}" model_platform: "tensorflow" {more}'
    Parse(f"config {{ model_config_list {{ config {{ {config} }} }} }}", request)
    return model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=120)


def test_a_client_reloads_what_the_server_was_started_with_and_no_other_path(start, model_folder, other_version):
    shutil.copytree(other_version, model_folder / "2")
    with start(model_folder) as running, running.channel() as channel:
        assert running.rest("/v1/models/single_label/labels/old:predict", {"instances": ["a"]})[0] == 400
        more = 'model_version_policy { all {} } version_labels { key: "old" value: 1 }'
        assert reload(channel, model_folder, more).status.error_code == 0
        answers = [
            running.rest(f"/v1/models/single_label{which}:predict", {"instances": ["goal"]})
            for which in ("/labels/old", "/versions/1", "/versions/2", "")
        ]
        assert {status for status, _ in answers} == {200}
        assert answers[0] == answers[1] != answers[2] == answers[3]
        for path, label, code in (
            ("/etc", "", grpc.StatusCode.PERMISSION_DENIED),
            (model_folder.parent, "", grpc.StatusCode.PERMISSION_DENIED),
            (model_folder, 'version_labels { key: "new" value: 7 }', grpc.StatusCode.FAILED_PRECONDITION),
        ):
            with pytest.raises(grpc.RpcError) as failed:
                reload(channel, path, label)
            assert failed.value.code() is code
        assert running.rest(PREDICT, {"instances": ["goal"]}) == answers[3]


def test_requests_under_way_are_answered_when_the_server_ends(start, model_folder):
    statuses = []
    with start(model_folder) as running:
        slow = threading.Event()
        version = running.server.manager.find("single_label")
        run = version.model.run

        def held(key, inputs, seconds=None):
            slow.wait(60)
            return run(key, inputs, seconds)

        version.model.run = held
        asking = threading.Thread(target=lambda: statuses.append(running.rest(PREDICT, {"instances": ["a"]})[0]))
        asking.start()
        running.until(lambda: version._users)
        ending = threading.Thread(target=lambda: (time.sleep(0.2), slow.set()))
        ending.start()
        port = running.server.rest_port
    asking.join()
    ending.join()
    assert statuses == [200]
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert [each["event"] for each in running.events][-3:] == ["ending", "unloaded", "ended"]


def test_a_server_that_ends_is_live_and_not_ready(start, model_folder):
    with start(model_folder) as running:
        assert running.rest("/healthz/ready") == (200, {"ready": True})
        running.server._ending = True  # as from the signal on, until requests under way are answered
        assert running.rest("/healthz/ready") == (503, {"ready": False})
        assert running.rest("/healthz/live") == (200, {"live": True})
        running.server._ending = False


def test_metrics_count_requests_batches_and_versions(running):
    running.rest(PREDICT, {"instances": ["a", "b", "c"]})
    running.rest("/v1/models/made%20up:predict", {"instances": ["a"]})
    connection = running.http()
    connection.request("GET", "/monitoring/prometheus/metrics")
    page = connection.getresponse().read().decode()
    assert 'kerasft_requests_total{code="OK",entrypoint="REST",method="predict",model="single_label"}' in page
    assert 'kerasft_model_version{model="single_label",state="AVAILABLE",version="1"} 1.0' in page
    assert 'kerasft_requests_total{code="NOT_FOUND",entrypoint="REST",method="predict",model=""}' in page
    assert "made" not in page
    for name in ("kerasft_request_seconds_bucket", "kerasft_batch_rows_sum", "kerasft_queue_rows 0.0", "process_res"):
        assert name in page


def test_nothing_of_a_request_is_logged(running):
    secret = "anna@example.com"
    for body in ({"instances": [{"text": secret}]}, {"instances": [{secret: secret}]}, {"signature_name": secret}):
        running.rest(PREDICT, body)
    running.rest(f"/v1/models/{secret}:predict", {"instances": [secret]})
    assert secret not in running.said.getvalue()


def test_what_cannot_be_served_is_told(start, tmp_path, model_folder):
    (tmp_path / "empty").mkdir()
    for folder, expected in (
        (tmp_path / "nowhere", "no such folder"),
        (tmp_path / "empty", "holds no version to serve"),
        (model_folder / "1", "is one version; give the folder that holds it"),
    ):
        with pytest.raises(UserError, match=expected), start(folder):
            pass
    (model_folder / "1" / "saved_model.pb").write_bytes(b"\xff")
    with pytest.raises(ServableError, match="not a SavedModel"), start(model_folder):
        pass


def test_a_taken_port_is_the_users_mistake(start, running, model_folder):
    async def attempt(**ports):
        options = replace(running.options, **ports)
        server = Server(options, EventLog(running.said))
        try:
            await server.start()
        finally:
            await server.close()

    with pytest.raises(UserError, match="--rest-port"):
        running.run(attempt(rest_port=running.server.rest_port))
    with pytest.raises(UserError, match="--grpc-port"):
        running.run(attempt(grpc_port=running.server.grpc_port))


def test_a_keep_alive_connection_answers_again(running):
    connection = running.http()
    for _ in range(3):
        connection.request("POST", PREDICT, json.dumps({"instances": ["a"]}))
        assert connection.getresponse().read()
    assert isinstance(connection, http.client.HTTPConnection) and connection.sock is not None
