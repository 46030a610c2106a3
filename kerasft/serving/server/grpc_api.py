"""TensorFlow Serving's gRPC services, with the messages of tensorflow-serving-api.

Every method is a coroutine, those that are not served too. How calls get here is in `grpc_calls`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from tensorflow_serving.apis.classification_pb2 import ClassificationRequest, ClassificationResponse
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
from tensorflow_serving.apis.inference_pb2 import MultiInferenceRequest
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest, ReloadConfigResponse
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.regression_pb2 import RegressionRequest, RegressionResponse

from kerasft.serving.server import requests
from kerasft.serving.server.loaded_model import Arrays, rows_of, size_of
from kerasft.serving.server.prediction import Prediction
from kerasft.serving.server.proto_tensors import to_message
from kerasft.serving.server.requests import DEFAULT_SIGNATURE, RequestLimits
from kerasft.serving.server.settings import ModelSettings, from_message
from kerasft.serving.server.versions import Version
from kerasft.serving.status import ServingError, invalid

Reload = Callable[[list[ModelSettings]], Awaitable[None]]


class _Service:
    """Args: prediction has the answers; answer_seconds is for clients that name no deadline."""

    def __init__(self, prediction: Prediction, answer_seconds: float):
        self._prediction = prediction
        self._answer_seconds = answer_seconds

    async def _observed(self, method: str, name: str, context: grpc.aio.ServicerContext, work) -> Any:
        try:
            return await self._prediction.observed("GRPC", method, name, work)
        except ServingError as error:
            await context.abort(error.code, error.message)

    def _deadline(self, context: grpc.aio.ServicerContext) -> float:
        remaining = context.time_remaining()
        return asyncio.get_running_loop().time() + (self._answer_seconds if remaining is None else remaining)


class PredictionService(_Service):
    """Predict, Classify, Regress and GetModelMetadata; MultiInference is UNIMPLEMENTED."""

    NAME = "tensorflow.serving.PredictionService"
    LARGE = {"Predict": PredictRequest, "Classify": ClassificationRequest, "Regress": RegressionRequest}
    SMALL = {"GetModelMetadata": GetModelMetadataRequest, "MultiInference": MultiInferenceRequest}

    async def Predict(self, request, context):
        return await self._answer(request, context, "predict", _predict_inputs, _predict_response)

    async def Classify(self, request, context):
        return await self._answer(request, context, "classify", _example_inputs, _classify_response)

    async def Regress(self, request, context):
        return await self._answer(request, context, "regress", _example_inputs, _regress_response)

    async def _answer(self, request, context, method: str, read, write):
        async def work():
            deadline, offload = self._deadline(context), self._prediction.offload
            with self._prediction.find(request.model_spec).used() as version:
                about = (request, version, method, self._prediction.limits)
                work = request.ByteSize() if method == "predict" else requests.work_of(request, self._prediction.limits)
                key, inputs = await offload.run(work, deadline, read, *about)
                outputs = await self._prediction.answer(version, key, inputs, deadline)
                rows = rows_of(inputs)
                return await offload.run(size_of(outputs), deadline, write, request, version, key, outputs, rows)

        return await self._observed(method, request.model_spec.name, context, work)

    async def GetModelMetadata(self, request, context):
        async def work():
            return self._prediction.metadata(_spec_of(request), list(request.metadata_field))

        return await self._observed("metadata", request.model_spec.name, context, work)

    async def MultiInference(self, request, context):
        async def work():
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, "MultiInference is not served here; use Predict")

        return await self._observed("multi_inference", "", context, work)


class ModelService(_Service):
    """GetModelStatus and HandleReloadConfigRequest.

    Args:
        reload: serves these models from now on; raises ServingError where it may not or cannot.
    """

    NAME = "tensorflow.serving.ModelService"
    LARGE = {}
    SMALL = {"GetModelStatus": GetModelStatusRequest, "HandleReloadConfigRequest": ReloadConfigRequest}

    def __init__(self, prediction: Prediction, answer_seconds: float, reload: Reload):
        super().__init__(prediction, answer_seconds)
        self._reload = reload

    async def GetModelStatus(self, request, context):
        async def work():
            return self._prediction.status(_spec_of(request))

        return await self._observed("status", request.model_spec.name, context, work)

    async def HandleReloadConfigRequest(self, request, context):
        async def work() -> ReloadConfigResponse:
            try:
                settings = from_message(request.config)
            except ValueError as error:
                raise invalid(str(error)) from error
            await self._reload(settings)
            return ReloadConfigResponse()  # its status is OK

        return await self._observed("reload", "", context, work)


def _predict_inputs(request, version: Version, method: str, limits: RequestLimits) -> tuple[str, Arrays]:
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = version.model.signatures.get(key)
    if signature is None:
        raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
    requests.check_outputs(request.output_filter, signature)
    return key, requests.predict_inputs(request, signature, limits)


def _example_inputs(request, version: Version, method: str, limits: RequestLimits) -> tuple[str, Arrays]:
    key = requests.method_signature(version.model.signatures, request.model_spec.signature_name, method)
    return key, requests.example_inputs(request.input, limits)


def _predict_response(request, version: Version, key: str, outputs: Arrays, rows: int) -> PredictResponse:
    signature = version.model.signatures[key]
    response = PredictResponse(model_spec=_spec(version, key))
    for name in request.output_filter or outputs:
        response.outputs[name].CopyFrom(to_message(outputs[name], signature.outputs[name]))
    return response


def _classify_response(request, version: Version, key: str, outputs: Arrays, rows: int) -> ClassificationResponse:
    labels, scores = requests.classifications(outputs, rows)
    response = ClassificationResponse(model_spec=_spec(version, key))
    for row, values in zip(labels.tolist(), scores.tolist()):
        added = response.result.classifications.add()
        for label, score in zip(row, values):
            added.classes.add(label=label.decode("utf-8", "replace"), score=score)
    return response


def _regress_response(request, version: Version, key: str, outputs: Arrays, rows: int) -> RegressionResponse:
    response = RegressionResponse(model_spec=_spec(version, key))
    for value in requests.regressions(outputs, rows).tolist():
        response.result.regressions.add(value=value)
    return response


def _spec_of(request) -> ModelSpec:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def _spec(version: Version, key: str) -> ModelSpec:
    spec = ModelSpec(name=version.name, signature_name=key)
    spec.version.value = version.number
    return spec
