"""The warm-up requests of a version, run before it answers anybody; one that fails refuses the version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from grpc import StatusCode

from kerasft.errors import ServableError
from kerasft.serving import warm_up
from kerasft.serving.server.loaded_model import LoadedModel
from kerasft.serving.server.requests import (
    DEFAULT_SIGNATURE,
    RequestLimits,
    example_inputs,
    method_signature,
    predict_inputs,
)
from kerasft.serving.status import ServingError

# Records are the exporter's, not a client's.
UNLIMITED = RequestLimits(rows=2**31, text_bytes=2**31, values=2**31, input_bytes=2**40)
SAMPLE_CHARACTERS = 500
METHODS = {"classify_log": "classify", "regress_log": "regress"}


@dataclass(frozen=True)
class Warmed:
    """How many requests a version was warmed up with, and the first of one row, {input: text}."""

    requests: int
    sample: dict[str, str]


def warm(model: LoadedModel, folder: Path) -> Warmed:
    """Runs every record of the version's warm-up file.

    Raises:
        ServableError: the file cannot be read, or a record fails.
    """
    logs = warm_up.read(folder)
    for number, log in enumerate(logs, 1):
        try:
            _run(model, log)
        except ServingError as error:
            raise ServableError(f"{warm_up.FILE}: record {number} fails: {error.message}") from error
    return Warmed(len(logs), next(filter(None, map(_sample, logs)), {}))


def _sample(log) -> dict[str, str]:
    request = log.predict_log.request
    if request.model_spec.signature_name not in ("", DEFAULT_SIGNATURE):
        return {}
    if any(len(tensor.string_val) != 1 for tensor in request.inputs.values()):
        return {}
    texts = {name: tensor.string_val[0] for name, tensor in request.inputs.items()}
    return {name: text.decode("utf-8", "replace")[:SAMPLE_CHARACTERS] for name, text in texts.items()}


def _run(model: LoadedModel, log) -> None:
    kind = log.WhichOneof("log_type")
    if kind not in ("predict_log", *METHODS):
        raise ServingError(StatusCode.UNIMPLEMENTED, f"this server does not run a {kind or 'record without a request'}")
    request = getattr(log, kind).request
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if kind in METHODS:
        key = method_signature(model.signatures, key, METHODS[kind])
        inputs = example_inputs(request.input, UNLIMITED)
    elif key in model.signatures:
        inputs = predict_inputs(request, model.signatures[key], UNLIMITED)
    else:
        raise ServingError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
    model.run(key, inputs)
