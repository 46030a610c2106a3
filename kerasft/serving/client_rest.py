"""The client's REST side; needs no TensorFlow. Connections are urllib3's."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import urllib3
from grpc import StatusCode

from kerasft.serving.status import BY_HTTP_STATUS, ServingError

if TYPE_CHECKING:
    from kerasft.serving.client import Credentials, ModelSpec, Texts


class RestTransport:
    """See client.Transport.

    Args:
        base: scheme, host and port.
        secure: whether by TLS.
        credentials: certificates and a token for the server; see `client`.
        connections: that stay open.
    """

    def __init__(self, base: str, secure: bool, credentials: Credentials, connections: int):
        self._base = base
        self._headers = {"Content-Type": "application/json"}
        if credentials.token:
            self._headers["Authorization"] = f"Bearer {credentials.token}"
        context = _context(credentials) if secure else None
        # Attempts are the client's to count, and a redirect would carry the token elsewhere.
        self._pool = urllib3.PoolManager(maxsize=connections, block=True, retries=False, ssl_context=context)
        self._outputs_of_signature: dict[tuple[ModelSpec, str], dict[str, Any]] = {}

    def predict(self, which: ModelSpec, inputs: Texts, signature: str, timeout: float) -> dict[str, np.ndarray]:
        columns = {name: [_value(text) for text in texts] for name, texts in inputs.items()}
        dtypes = self._outputs(which, signature, timeout)
        body = {"signature_name": signature, "inputs": columns}
        outputs = self._ask(f"{_path(which)}:predict", timeout, body)["outputs"]
        if not isinstance(outputs, dict):  # an only output goes without its name
            outputs = {next(iter(dtypes)): outputs}
        return {name: _array(value, dtypes.get(name)) for name, value in outputs.items()}

    def classify(self, which: ModelSpec, rows: Sequence[Mapping[str, str | bytes]], signature: str, timeout: float):
        results = self._examples(which, "classify", rows, signature, timeout)
        return [[(label, score) for label, score in row] for row in results]

    def regress(self, which: ModelSpec, rows: Sequence[Mapping[str, str | bytes]], signature: str, timeout: float):
        return self._examples(which, "regress", rows, signature, timeout)

    def signatures(self, which: ModelSpec, timeout: float) -> dict[str, dict[str, Any]]:
        definitions = self._ask(f"{_path(which)}/metadata", timeout)["metadata"]["signature_def"]["signature_def"]
        return {
            key: {
                "method": signature["method_name"],
                **{
                    kind: {name: _dtype(info) for name, info in signature[kind].items()}
                    for kind in ("inputs", "outputs")
                },
            }
            for key, signature in definitions.items()
            if not key.startswith("__")
        }

    def versions(self, which: ModelSpec, timeout: float) -> dict[int, str]:
        states = self._ask(_path(which), timeout)["model_version_status"]
        return {int(each["version"]): each["state"] for each in states}

    def close(self) -> None:
        self._pool.clear()

    def _outputs(self, which: ModelSpec, signature: str, timeout: float) -> dict[str, str]:
        if (which, signature) not in self._outputs_of_signature:
            signatures = self.signatures(which, timeout)
            if signature not in signatures:
                raise ServingError(StatusCode.INVALID_ARGUMENT, f"{which.name} has no signature {signature}")
            self._outputs_of_signature[which, signature] = signatures[signature]["outputs"]
        return self._outputs_of_signature[which, signature]

    def _examples(self, which: ModelSpec, method: str, rows: Any, signature: str, timeout: float) -> list[Any]:
        examples = [{name: _value(text) for name, text in row.items()} for row in rows]
        body = {"signature_name": signature, "examples": examples}
        return self._ask(f"{_path(which)}:{method}", timeout, body)["results"]

    def _ask(self, path: str, timeout: float, body: Any = None) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode("ascii")
        try:
            response = self._pool.request(
                "GET" if body is None else "POST",
                self._base + path,
                body=content,
                headers=self._headers,
                timeout=urllib3.Timeout(total=max(timeout, 0.001)),
            )
        except urllib3.exceptions.ReadTimeoutError:
            raise ServingError(StatusCode.DEADLINE_EXCEEDED, "the server did not answer in time") from None
        except urllib3.exceptions.HTTPError as error:
            reason = f"cannot reach {self._base}: {type(error).__name__}"
            raise ServingError(StatusCode.UNAVAILABLE, reason) from error
        return _answer(response.status, response.data)


def _answer(status: int, data: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = {"error": f"HTTP {status} with a body that is no JSON"}
        status = 500 if status == 200 else status
    if status == 200:
        return answer
    message = str(answer.get("error", "")) if isinstance(answer, dict) else ""
    raise ServingError(BY_HTTP_STATUS.get(status, StatusCode.UNKNOWN), message or f"HTTP {status}", status)


def _context(credentials: Credentials) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=credentials.ca)
    if credentials.certificate:
        context.load_cert_chain(credentials.certificate, credentials.key)
    return context


def _path(which: ModelSpec) -> str:
    path = f"/v1/models/{quote(which.name, safe='')}"
    if which.version is not None:
        return f"{path}/versions/{which.version}"
    return f"{path}/labels/{quote(which.label, safe='')}" if which.label else path


def _value(text: str | bytes) -> str | dict[str, str]:
    return text if isinstance(text, str) else {"b64": base64.b64encode(text).decode("ascii")}


def _dtype(info: Mapping[str, Any]) -> str:
    """DT_FLOAT -> float32, as NumPy calls it; a string is `string`."""
    name: str = info["dtype"].removeprefix("DT_").lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def _array(value: Any, dtype: str | None) -> np.ndarray:
    if dtype is None:
        return np.asarray(value)
    if dtype != "string":
        return np.asarray(value, dtype)
    return np.vectorize(_to_bytes, otypes=[object])(np.asarray(value, object)) if value else np.empty(0, object)


def _to_bytes(value: Any) -> bytes:
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode("utf-8")
