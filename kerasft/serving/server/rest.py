"""TensorFlow Serving's REST API; the HTTP of it is aiohttp's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from aiohttp import ClientError, web
from google.protobuf.json_format import MessageToDict
from grpc import StatusCode
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.model_pb2 import ModelSpec

from kerasft.serving.server import json_examples, json_tensors
from kerasft.serving.server.options import Options
from kerasft.serving.server.prediction import SIGNATURE_FIELD, Prediction
from kerasft.serving.server.requests import DEFAULT_SIGNATURE, check_inputs
from kerasft.serving.server.versions import Version
from kerasft.serving.status import ServingError, invalid

# `http_rest_api_util.cc` of tensorflow/serving.
_WHICH = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
PREDICTION = re.compile(rf"/v1/models/([^/:]+){_WHICH}:(classify|regress|predict)", re.IGNORECASE | re.ASCII)
STATUS = re.compile(rf"/v1/models(?:/([^/:]+))?{_WHICH}(/metadata)?", re.IGNORECASE | re.ASCII)
INT64_MAX = 2**63 - 1


class RestApi:
    """Answers requests below /v1.

    Args:
        prediction: has the answers.
        options: limits of a request's size and time.
    """

    def __init__(self, prediction: Prediction, options: Options):
        self._prediction = prediction
        self._options = options

    async def handle(self, request: web.Request) -> web.Response:
        """One request; what goes wrong is {"error": message} and TensorFlow Serving's status."""
        path = request.rel_url.raw_path
        asked = PREDICTION.fullmatch(path) if request.method == "POST" else None
        method = asked[4].lower() if asked else "status"
        name = unquote(asked[1]) if asked else ""
        try:
            answer = await self._prediction.observed("REST", method, name, lambda: self._answer(request, asked))
        except ServingError as error:
            return refusal(error)
        return json_response(answer)

    async def _answer(self, request: web.Request, asked: re.Match[str] | None) -> Mapping[str, Any]:
        deadline = asyncio.get_running_loop().time() + self._options.answer_seconds
        if asked is None:
            return self._describe(request)
        body = await self._read(request)
        with self._prediction.find(_spec(asked)).used() as version:
            document = json_tensors.parse(body)
            key = json_tensors.signature_name(document)
            method = asked[4].lower()
            if method == "predict":
                return await self._predict(version, key, document, deadline)
            examples = json_examples.examples(document)
            if method == "classify":
                _, labels, scores = await self._prediction.classify(version, key, examples, deadline)
                rows = zip(labels, json_tensors.shortest(scores))
                return {"results": [list(zip(map(json_tensors.to_text, row), values)) for row, values in rows]}
            _, values = await self._prediction.regress(version, key, examples, deadline)
            return {"results": json_tensors.shortest(values)}

    async def _predict(self, version: Version, key: str, document: Mapping[str, Any], deadline: float):
        signature = version.model.signatures.get(key or DEFAULT_SIGNATURE)
        if signature is None:
            raise invalid(f'Serving signature name: "{key or DEFAULT_SIGNATURE}" not found in signature def')
        inputs, by_row = json_tensors.predict_inputs(document, signature)
        check_inputs(inputs, self._prediction.limits)
        outputs = await self._prediction.answer(version, key or DEFAULT_SIGNATURE, inputs, deadline)
        return json_tensors.predictions(outputs, by_row)

    async def _read(self, request: web.Request) -> bytes:
        options = self._options
        try:
            if (request.content_length or 0) > options.body_bytes:
                raise web.HTTPRequestEntityTooLarge(options.body_bytes, request.content_length)
            return await asyncio.wait_for(request.read(), options.body_seconds)
        except web.HTTPRequestEntityTooLarge:
            message = f"the body is larger than the {options.body_bytes} bytes that this server takes"
            raise ServingError(StatusCode.INVALID_ARGUMENT, message, 413) from None
        except asyncio.TimeoutError:
            message = f"the body did not come within {options.body_seconds:g} s"
            raise ServingError(StatusCode.DEADLINE_EXCEEDED, message, 408) from None
        except (web.RequestPayloadError, ClientError, OSError):
            raise invalid("the body could not be read") from None

    def _describe(self, request: web.Request) -> Mapping[str, Any]:
        path = request.rel_url.raw_path
        asked = STATUS.fullmatch(path) if request.method == "GET" else None
        if asked is None:
            raise invalid(f"Malformed request: {request.method} {path}")
        if not asked[1]:
            raise invalid("Missing model name in request.")
        spec = _spec(asked)
        if asked[4] is None:
            return _dict(self._prediction.status(spec))
        response = self._prediction.metadata(spec, [SIGNATURE_FIELD])
        signatures = SignatureDefMap()
        response.metadata[SIGNATURE_FIELD].Unpack(signatures)
        return {"model_spec": _dict(response.model_spec), "metadata": {SIGNATURE_FIELD: _dict(signatures)}}


def _spec(asked: re.Match[str]) -> ModelSpec:
    spec = ModelSpec(name=unquote(asked[1]))
    if asked[2]:
        if int(asked[2]) > INT64_MAX:
            raise invalid(f"Failed to convert version: {asked[2]} to numeric.")
        spec.version.value = int(asked[2])
    if asked[3]:
        spec.version_label = unquote(asked[3])
    return spec


def _dict(message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def json_response(answer: Mapping[str, Any], status: int = 200) -> web.Response:
    """An answer with TensorFlow Serving's content type, which names no charset."""
    response = web.Response(body=json_tensors.dump(answer), status=status)
    response.headers["Content-Type"] = "application/json"
    response.headers["Server"] = "kerasft"  # not which versions of what
    return response


def refusal(error: ServingError) -> web.Response:
    """What went wrong, as TensorFlow Serving says it."""
    response = json_response({"error": error.message}, error.http_status)
    if error.http_status == 503:
        response.headers["Retry-After"] = "1"
    if error.http_status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
