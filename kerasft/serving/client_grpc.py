"""The client's gRPC side, with the stubs of tensorflow-serving-api."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, model_service_pb2_grpc, prediction_service_pb2_grpc
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest, ModelVersionStatus
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.regression_pb2 import RegressionRequest

from kerasft.serving.status import ServingError

if TYPE_CHECKING:
    from kerasft.serving.client import Credentials, ModelSpec, Texts

# An answer of embeddings or long texts is larger than the 4 MiB that gRPC takes by itself.
OPTIONS = (("grpc.max_receive_message_length", 256 * 2**20), ("grpc.enable_retries", 0))


class GrpcTransport:
    """See client.Transport. Args: target is HOST:PORT; secure: whether by TLS, with these credentials."""

    def __init__(self, target: str, secure: bool, credentials: Credentials):
        self._metadata = [("authorization", f"Bearer {credentials.token}")] if credentials.token else []
        if secure:
            parts = (credentials.ca, credentials.key, credentials.certificate)
            pem = [None if part is None else part.read_bytes() for part in parts]
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(*pem), OPTIONS)
        else:
            self._channel = grpc.insecure_channel(target, OPTIONS)
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(self, which: ModelSpec, inputs: Texts, signature: str, timeout: float) -> dict[str, np.ndarray]:
        request = PredictRequest(model_spec=_spec(which, signature))
        for name, texts in inputs.items():
            request.inputs[name].CopyFrom(
                tf.make_tensor_proto([_bytes(text) for text in texts], tf.string, [len(texts)])
            )
        outputs = self._ask(self._predictions.Predict, request, timeout).outputs
        return {name: tf.make_ndarray(outputs[name]) for name in sorted(outputs)}

    def classify(self, which: ModelSpec, rows: Sequence[Mapping[str, str | bytes]], signature: str, timeout: float):
        request = ClassificationRequest(model_spec=_spec(which, signature))
        _fill(request, rows)
        results = self._ask(self._predictions.Classify, request, timeout).result.classifications
        return [[(each.label, each.score) for each in row.classes] for row in results]

    def regress(self, which: ModelSpec, rows: Sequence[Mapping[str, str | bytes]], signature: str, timeout: float):
        request = RegressionRequest(model_spec=_spec(which, signature))
        _fill(request, rows)
        return [each.value for each in self._ask(self._predictions.Regress, request, timeout).result.regressions]

    def signatures(self, which: ModelSpec, timeout: float) -> dict[str, dict[str, Any]]:
        request = GetModelMetadataRequest(model_spec=_spec(which), metadata_field=["signature_def"])
        definitions = SignatureDefMap()
        self._ask(self._predictions.GetModelMetadata, request, timeout).metadata["signature_def"].Unpack(definitions)
        return {
            key: {
                "method": signature.method_name,
                "inputs": {name: tf.dtypes.as_dtype(info.dtype).name for name, info in signature.inputs.items()},
                "outputs": {name: tf.dtypes.as_dtype(info.dtype).name for name, info in signature.outputs.items()},
            }
            for key, signature in definitions.signature_def.items()
            if not key.startswith("__")
        }

    def versions(self, which: ModelSpec, timeout: float) -> dict[int, str]:
        answer = self._ask(self._models.GetModelStatus, GetModelStatusRequest(model_spec=_spec(which)), timeout)
        return {each.version: ModelVersionStatus.State.Name(each.state) for each in answer.model_version_status}

    def close(self) -> None:
        self._channel.close()

    def _ask(self, call, request, timeout: float):
        try:
            return call(request, timeout=max(timeout, 0.001), metadata=self._metadata)
        except grpc.RpcError as error:
            raise ServingError(error.code(), error.details() or error.code().name) from error


def _spec(which: ModelSpec, signature: str = "") -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=which.name, signature_name=signature)
    if which.version is not None:
        spec.version.value = which.version
    elif which.label:
        spec.version_label = which.label
    return spec


def _fill(request, rows: Sequence[Mapping[str, str | bytes]]) -> None:
    for row in rows:
        features = request.input.example_list.examples.add().features
        for name, text in row.items():
            features.feature[name].bytes_list.value.append(_bytes(text))


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else text
