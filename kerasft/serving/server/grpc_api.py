"""TensorFlow Serving's gRPC services, with the stubs of tensorflow-serving-api, and gRPC's own of health.

Every method is a coroutine, those that are not served too: gRPC runs any other in a thread beside the loop, and calls
of such a one were seen to end at their deadline, unanswered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_health.v1 import health
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
from tensorflow_serving.apis.classification_pb2 import ClassificationResponse
from tensorflow_serving.apis.model_management_pb2 import ReloadConfigResponse
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.apis.regression_pb2 import RegressionResponse

from kerasft.serving.server import requests
from kerasft.serving.server.prediction import Prediction
from kerasft.serving.server.proto_tensors import to_message
from kerasft.serving.server.requests import DEFAULT_SIGNATURE
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


class PredictionService(_Service, prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress and GetModelMetadata; MultiInference is UNIMPLEMENTED."""

    async def Predict(self, request, context):
        async def work() -> PredictResponse:
            with self._prediction.find(request.model_spec).used() as version:
                return await self._predict(version, request, self._deadline(context))

        return await self._observed("predict", request.model_spec.name, context, work)

    async def _predict(self, version: Version, request, deadline: float) -> PredictResponse:
        key = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = version.model.signatures.get(key)
        if signature is None:
            raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
        requests.check_outputs(request.output_filter, signature)
        inputs = requests.predict_inputs(request, signature, self._prediction.limits)
        outputs = await self._prediction.answer(version, key, inputs, deadline)
        response = PredictResponse(model_spec=_spec(version, key))
        for name in request.output_filter or outputs:
            response.outputs[name].CopyFrom(to_message(outputs[name], signature.outputs[name]))
        return response

    async def Classify(self, request, context):
        async def work() -> ClassificationResponse:
            with self._prediction.find(request.model_spec).used() as version:
                asked = (version, request.model_spec.signature_name, request.input, self._deadline(context))
                key, labels, scores = await self._prediction.classify(*asked)
                response = ClassificationResponse(model_spec=_spec(version, key))
                for row, values in zip(labels, scores.tolist()):
                    added = response.result.classifications.add()
                    for label, score in zip(row, values):
                        added.classes.add(label=label.decode("utf-8", "replace"), score=score)
                return response

        return await self._observed("classify", request.model_spec.name, context, work)

    async def Regress(self, request, context):
        async def work() -> RegressionResponse:
            with self._prediction.find(request.model_spec).used() as version:
                asked = (version, request.model_spec.signature_name, request.input, self._deadline(context))
                key, values = await self._prediction.regress(*asked)
                response = RegressionResponse(model_spec=_spec(version, key))
                for value in values.tolist():
                    response.result.regressions.add(value=value)
                return response

        return await self._observed("regress", request.model_spec.name, context, work)

    async def GetModelMetadata(self, request, context):
        async def work():
            return self._prediction.metadata(_given(request), list(request.metadata_field))

        return await self._observed("metadata", request.model_spec.name, context, work)

    async def MultiInference(self, request, context):
        async def work():
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, "MultiInference is not served here; use Predict")

        return await self._observed("multi_inference", "", context, work)


class ModelService(_Service, model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest.

    Args:
        reload: serves these models from now on; raises ServingError where it may not or cannot.
    """

    def __init__(self, prediction: Prediction, answer_seconds: float, reload: Reload):
        super().__init__(prediction, answer_seconds)
        self._reload = reload

    async def GetModelStatus(self, request, context):
        async def work():
            return self._prediction.status(_given(request))

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


class HealthService(health.aio.HealthServicer):
    """Check and Watch; List, which grpcio-health-checking's stub has beside them, is UNIMPLEMENTED."""

    async def List(self, request, context):
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "List is not served here; use Check")


def _given(request) -> ModelSpec:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def _spec(version: Version, key: str) -> ModelSpec:
    spec = ModelSpec(name=version.name, signature_name=key)
    spec.version.value = version.number
    return spec
