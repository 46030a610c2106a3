"""Asks a server that speaks TensorFlow Serving's API, by REST or gRPC: one pool of connections, retries, deadlines."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from grpc import StatusCode

from kerasft.serving.status import ServingError

if TYPE_CHECKING:
    import numpy as np

Answer = TypeVar("Answer")
Texts = Mapping[str, Sequence[str | bytes]]
# What another attempt may fix. A prediction changes nothing on the server, so to ask twice does no harm.
WORTH_ANOTHER_TRY = (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED)
SCHEMES = ("grpc", "grpcs", "http", "https")


@dataclass(frozen=True)
class ModelSpec:
    """Which model is asked: by its name alone, or a version or a label of it."""

    name: str
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class Credentials:
    """Args: PEM files to check the server by, and to show it; a bearer token. None: the system's, none, none."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token: str | None = None


class Transport(Protocol):
    """One of the two APIs; each call may take `timeout` seconds and raises ServingError."""

    def predict(self, which: ModelSpec, inputs: Texts, signature: str, timeout: float) -> dict[str, np.ndarray]: ...

    def classify(
        self, which: ModelSpec, rows: Any, signature: str, timeout: float
    ) -> list[list[tuple[str, float]]]: ...

    def regress(self, which: ModelSpec, rows: Any, signature: str, timeout: float) -> list[float]: ...

    def signatures(self, which: ModelSpec, timeout: float) -> dict[str, dict[str, Any]]: ...

    def versions(self, which: ModelSpec, timeout: float) -> dict[int, str]: ...

    def close(self) -> None: ...


class Client:
    """A client of one server, for any number of threads.

    Args:
        address: `grpc://HOST:PORT` or `http://HOST:PORT`; with TLS `grpcs://` or `https://`.
        timeout: seconds that a call may take in all, its retries included.
        retries: attempts after the first, where the server is overloaded or cannot be reached.
        connections: that REST keeps open; gRPC sends everything through one.
        credentials: see there.

    Raises:
        ValueError: an address of another form.
    """

    def __init__(
        self,
        address: str,
        timeout: float = 30.0,
        retries: int = 4,
        connections: int = 8,
        credentials: Credentials | None = None,
    ):
        parts = urlsplit(address)
        if parts.scheme not in SCHEMES or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"{address!r} is no address of a server; give one such as grpc://localhost:8500")
        secure = parts.scheme in ("grpcs", "https")
        secrets = credentials or Credentials()
        self._timeout = timeout
        self._retries = retries
        self._transport: Transport
        if parts.scheme in ("grpc", "grpcs"):
            from kerasft.serving.client_grpc import GrpcTransport

            self._transport = GrpcTransport(parts.netloc, secure, secrets)
        else:
            from kerasft.serving.client_rest import RestTransport

            self._transport = RestTransport(f"{parts.scheme}://{parts.netloc}", secure, secrets, connections)

    def predict(
        self, model: str | ModelSpec, inputs: Texts, signature: str = "serving_default"
    ) -> dict[str, np.ndarray]:
        """{input: texts} -> {output: (batch, ...)}; strings are byte strings in object arrays.

        Raises:
            ServingError: what the server refused, or DEADLINE_EXCEEDED, or UNAVAILABLE after the last attempt.
        """
        return self._call(lambda remaining: self._transport.predict(_which(model), inputs, signature, remaining))

    def classify(
        self, model: str | ModelSpec, rows: Sequence[Mapping[str, str | bytes]], signature: str = "classify"
    ) -> list[list[tuple[str, float]]]:
        """A text for each feature of each row -> (label, score) pairs of each row. Raises ServingError."""
        return self._call(lambda remaining: self._transport.classify(_which(model), rows, signature, remaining))

    def regress(
        self, model: str | ModelSpec, rows: Sequence[Mapping[str, str | bytes]], signature: str = "regress"
    ) -> list[float]:
        """A text for each feature of each row -> a number for each row. Raises ServingError."""
        return self._call(lambda remaining: self._transport.regress(_which(model), rows, signature, remaining))

    def signatures(self, model: str | ModelSpec) -> dict[str, dict[str, Any]]:
        """{signature: {"method": ..., "inputs": {name: dtype}, "outputs": {name: dtype}}}. Raises ServingError."""
        return self._call(lambda remaining: self._transport.signatures(_which(model), remaining))

    def versions(self, model: str | ModelSpec) -> dict[int, str]:
        """{version: state}, such as {2: "AVAILABLE"}. Raises ServingError."""
        return self._call(lambda remaining: self._transport.versions(_which(model), remaining))

    def _call(self, attempt: Callable[[float], Answer]) -> Answer:
        end = time.monotonic() + self._timeout
        for retry in range(self._retries + 1):
            try:
                return attempt(end - time.monotonic())
            except ServingError as error:
                # Full jitter: clients that were refused together do not come back together.
                pause = random.uniform(0, min(2.0, 0.1 * 2**retry))
                remaining = end - time.monotonic() - pause
                if error.code not in WORTH_ANOTHER_TRY or retry == self._retries or remaining <= 0:
                    raise
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Closes its connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *failed: object) -> None:
        self.close()


def _which(model: str | ModelSpec) -> ModelSpec:
    return ModelSpec(model) if isinstance(model, str) else model
