"""Answers of models and what a model says of itself, for both APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from grpc import StatusCode
from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataResponse, SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse

from kerasft.serving.server.loaded_model import Arrays, bytes_of
from kerasft.serving.server.manager import Manager
from kerasft.serving.server.metrics import Metrics
from kerasft.serving.server.moved_places import MovedPlaces
from kerasft.serving.server.offload import Offload
from kerasft.serving.server.redaction import redacted_texts
from kerasft.serving.server.requests import RequestLimits
from kerasft.serving.server.versions import Version
from kerasft.serving.status import ServingError, invalid

if TYPE_CHECKING:
    from tensorflow_serving.apis.model_pb2 import ModelSpec

    from kerasft.serving.server.event_log import EventLog
    from kerasft.serving.server.guard import Guard
    from kerasft.serving.server.monitor import Monitor

Answer = TypeVar("Answer")
SIGNATURE_FIELD = "signature_def"
GUARD_WORK = 1 << 16  # bytes: filters are never run on the event loop, which they would keep


def guard_work(arrays: Arrays) -> int:
    """About how much filters go through."""
    return GUARD_WORK + bytes_of(arrays)


class Prediction:
    """Answers for one server.

    Args:
        manager: has the models.
        limits: of one request.
        metrics: are told of each request.
        log: is told of mistakes of ours.
        monitor: is shown the answers.
        log_texts: whether it is told of texts too, redacted.

    Attributes:
        offload: does what would keep the event loop.
    """

    def __init__(
        self,
        manager: Manager,
        limits: RequestLimits,
        metrics: Metrics,
        log: EventLog,
        monitor: Monitor,
        log_texts: bool = False,
    ):
        self.manager = manager
        self.limits = limits
        self._metrics = metrics
        self._log = log
        self._monitor = monitor
        self._log_texts = log_texts
        self.offload = Offload()

    def find(self, spec: ModelSpec) -> Version:
        """The version that a request means. Raises ServingError."""
        number = spec.version.value if spec.HasField("version") else None
        return self.manager.find(spec.name, number, spec.version_label or None)

    async def answer(self, version: Version, key: str, inputs: Arrays, deadline: float) -> Arrays:
        """All inputs of a signature, checked -> its outputs. Raises ServingError."""
        if self._log_texts:
            self._log("asked", model=version.name, version=version.number, signature=key, texts=redacted_texts(inputs))
        guard, places = version.guard, MovedPlaces()
        if guard is not None:
            inputs = await self._guarded(guard, deadline, guard.inputs, inputs, places)
        outputs = await version.answer(key, inputs, deadline)
        self._monitor.observe(version, key, inputs, outputs)
        if guard is not None:
            outputs = await self._guarded(guard, deadline, guard.outputs, outputs)
        return places.moved(outputs, [name for name, array in inputs.items() if array.dtype == object])

    async def _guarded(
        self, guard: Guard, deadline: float, work: Callable[..., Arrays], arrays: Arrays, *args
    ) -> Arrays:
        """What filters leave of texts, in a thread; those that run models of theirs keep no other request waiting."""
        if guard.models:
            return await self.offload.run_models(deadline, work, arrays, *args)
        return await self.offload.run(guard_work(arrays), deadline, work, arrays, *args)

    def status(self, spec: ModelSpec) -> GetModelStatusResponse:
        """Versions of a model and their states. Raises ServingError."""
        number = spec.version.value if spec.HasField("version") else None
        response = GetModelStatusResponse()
        for version in self.manager.statuses(spec.name, number, spec.version_label or None):
            code, message = version.error or (StatusCode.OK, "")
            added = response.model_version_status.add(version=version.number, state=int(version.state))
            added.status.error_code = code.value[0]
            added.status.error_message = message
        return response

    def metadata(self, spec: ModelSpec, fields: list[str]) -> GetModelMetadataResponse:
        """The signatures of a version. Raises ServingError."""
        if not fields:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for each in fields:
            if each != SIGNATURE_FIELD:
                raise invalid(f"Metadata field {each} is not supported")
        version = self.find(spec)
        definitions = SignatureDefMap()
        for key, signature in version.model.signatures.items():
            definitions.signature_def[key].CopyFrom(signature)
        response = GetModelMetadataResponse()
        response.model_spec.name = version.name
        response.model_spec.version.value = version.number
        response.metadata[SIGNATURE_FIELD].Pack(definitions)
        return response

    async def observed(self, entrypoint: str, method: str, name: str, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Does the work of a request and counts how it ended; a mistake of ours is INTERNAL and its place is logged.

        Raises:
            ServingError: for whatever went wrong.
        """
        loop = asyncio.get_running_loop()
        start, code = loop.time(), StatusCode.OK
        try:
            return await work()
        except ServingError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            code = StatusCode.CANCELLED
            raise
        except Exception as error:
            code = StatusCode.INTERNAL
            self._log.mistake(error, entrypoint=entrypoint, method=method)
            raise ServingError(code, "internal error") from error
        finally:
            label = name if name in self.manager.models else ""
            self._metrics.request(entrypoint, method, label, code, loop.time() - start)
