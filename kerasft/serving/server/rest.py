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

from kerasft.serving.server import json_answers, json_requests, requests
from kerasft.serving.server.admission import Account, Memory
from kerasft.serving.server.json_requests import JsonRequest
from kerasft.serving.server.loaded_model import Arrays, size_of
from kerasft.serving.server.manager import ServedModel
from kerasft.serving.server.options import Options
from kerasft.serving.server.prediction import SIGNATURE_FIELD, Prediction
from kerasft.serving.status import ServingError, invalid

# `http_rest_api_util.cc` of tensorflow/serving.
_WHICH = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
PREDICTION = re.compile(rf"/v1/models/([^/:]+){_WHICH}:(classify|regress|predict)", re.IGNORECASE | re.ASCII)
STATUS = re.compile(rf"/v1/models(?:/([^/:]+))?{_WHICH}(/metadata)?", re.IGNORECASE | re.ASCII)
INT64_MAX, INT64_DIGITS = 2**63 - 1, 19


class RestApi:
    """Answers requests below /v1.

    Args:
        prediction: has the answers.
        options: limits of a request's size and time.
        memory: that bodies are counted in.

    Attributes:
        memory: as given; answers that nobody has read yet are counted in it, too.
    """

    def __init__(self, prediction: Prediction, options: Options, memory: Memory):
        self._prediction, self._options, self.memory = prediction, options, memory

    async def handle(self, request: web.Request) -> web.Response:
        """One request; what goes wrong is {"error": message} and TensorFlow Serving's status."""
        path = request.rel_url.raw_path
        match = PREDICTION.fullmatch(path) if request.method == "POST" else None
        method = match[4].lower() if match else "status"
        name = unquote(match[1]) if match else ""
        try:
            answer = await self._prediction.observed("REST", method, name, lambda: self._answer(request, match))
        except ServingError as error:
            return refusal(error)
        return json_response(answer)

    async def _answer(self, request: web.Request, match: re.Match[str] | None) -> Mapping[str, Any] | bytes:
        deadline = asyncio.get_running_loop().time() + self._options.answer_seconds
        if match is None:
            return self._describe(request)
        spec, method, offload = version_of(match), match[4].lower(), self._prediction.offload
        with self.memory.account() as account:
            body = await self._read(request, account)
            with self._prediction.find(spec).used() as version:
                limits = self._prediction.limits
                about = (body, method, version.model.signatures, limits)
                work = json_requests.work_of(body, method, limits)
                read = await offload.run(work, deadline, json_requests.read, *about)
                del body, about
                outputs = await self._prediction.answer(version, read.key, read.inputs, deadline)
        return await offload.run(size_of(outputs), deadline, _encode, method, read, outputs)

    async def _read(self, request: web.Request, account: Account) -> bytes:
        options = self._options
        if (request.content_length or 0) > options.body_bytes:
            raise _too_large(options)
        try:
            return await asyncio.wait_for(_body(request, account, options), options.body_seconds)
        except asyncio.TimeoutError:
            message = f"the body did not come within {options.body_seconds:g} s"
            raise ServingError(StatusCode.DEADLINE_EXCEEDED, message, 408) from None
        except (web.RequestPayloadError, ClientError, OSError):
            raise invalid("the body could not be read") from None

    def _list(self) -> Mapping[str, Any]:
        """What is served: TensorFlow Serving has no such list."""
        models = []
        for name, model in sorted(self._prediction.manager.models.items()):
            versions = [
                {"version": str(number), "state": version.state.name}
                for number, version in sorted(model.versions.items(), reverse=True)
            ]
            models.append({"name": name, "versions": versions, "labels": _labels(model)})
        return {"models": models}

    def _describe(self, request: web.Request) -> Mapping[str, Any]:
        path = request.rel_url.raw_path
        match = STATUS.fullmatch(path) if request.method == "GET" else None
        if match is None:
            raise invalid(f"Malformed request: {request.method} {path}")
        if not match[1]:
            return self._list()
        spec = version_of(match)
        if match[4] is None:
            return _dict(self._prediction.status(spec))
        response = self._prediction.metadata(spec, [SIGNATURE_FIELD])
        signatures = SignatureDefMap()
        response.metadata[SIGNATURE_FIELD].Unpack(signatures)
        return {"model_spec": _dict(response.model_spec), "metadata": {SIGNATURE_FIELD: _dict(signatures)}}


async def _body(request: web.Request, account: Account, options: Options) -> bytes:
    body = bytearray()
    while chunk := await request.content.readany():
        if len(body) + len(chunk) > options.body_bytes:  # after decompression
            raise _too_large(options)
        account.add(len(chunk))
        body += chunk
    return bytes(body)


def _too_large(options: Options) -> ServingError:
    message = f"the body is larger than the {options.body_bytes} bytes that this server takes"
    return ServingError(StatusCode.INVALID_ARGUMENT, message, 413)


def _encode(method: str, body: JsonRequest, outputs: Arrays) -> bytes:
    if method == "predict":
        return json_answers.predictions(outputs, body.by_row)
    rows = len(body.inputs[requests.INPUTS])
    if method == "classify":
        return json_answers.classifications(*requests.classifications(outputs, rows))
    return json_answers.regressions(requests.regressions(outputs, rows))


def version_of(match: re.Match[str]) -> ModelSpec:
    """The version that a path means. Raises ServingError for a number that no version can have."""
    spec = ModelSpec(name=unquote(match[1]))
    if match[2]:
        digits = match[2].lstrip("0") or "0"
        if len(digits) > INT64_DIGITS or int(digits) > INT64_MAX:  # Python reads no number of 5,000 digits
            excerpt = match[2] if len(match[2]) <= 2 * INT64_DIGITS else f"{match[2][:INT64_DIGITS]}..."
            raise invalid(f"Failed to convert version: {excerpt} to numeric.")
        spec.version.value = int(digits)
    if match[3]:
        spec.version_label = unquote(match[3])
    return spec


def _labels(model: ServedModel) -> dict[str, str]:
    return {label: str(model.labelled(label)) for label in sorted(model.settings.labels)}


def _dict(message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def json_response(answer: Mapping[str, Any] | bytes, status: int = 200) -> web.Response:
    """An answer, written or not, with TensorFlow Serving's content type, which names no charset."""
    body = answer if isinstance(answer, bytes) else json_answers.dump(answer)
    response = web.Response(body=body, status=status)
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
