"""The body of a REST request -> what it asks of a version; all of it is done beside the event loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kerasft.serving.server import json_examples, json_tensors, requests
from kerasft.serving.server.loaded_model import Arrays
from kerasft.serving.server.offload import PLAIN
from kerasft.serving.server.requests import DEFAULT_SIGNATURE, RequestLimits
from kerasft.serving.status import invalid

if TYPE_CHECKING:
    from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef


@dataclass(frozen=True)
class JsonRequest:
    """What a request asks: inputs of the signature `key`, and whether they came row by row."""

    key: str
    inputs: Arrays
    by_row: bool = True


def work_of(body: bytes, method: str, limits: RequestLimits) -> int:
    """About how many bytes `read` goes through: the context of a few kilobytes goes into each of many examples."""
    # A key may be escaped, too. What is no context then goes to a thread without need, which is no harm.
    if method == "predict" or (b'"context"' not in body and b"\\u" not in body):
        return len(body)
    return max(len(body), min(PLAIN, len(body) * limits.rows))


def read(body: bytes, method: str, signatures: Mapping[str, SignatureDef], limits: RequestLimits) -> JsonRequest:
    """A body -> what it asks.

    Args:
        body: JSON, of any content.
        method: "predict", "classify" or "regress".
        signatures: of the version.
        limits: see RequestLimits.

    Raises:
        ServingError: it asks for what there is not, or is too large, or no request.
    """
    json_tensors.check_contents(body, limits)
    document = json_tensors.parse(body)
    key = json_tensors.signature_name(document)
    if method != "predict":
        key = requests.method_signature(signatures, key, method)
        return JsonRequest(key, requests.example_inputs(json_examples.examples(document, limits), limits))
    key = key or DEFAULT_SIGNATURE
    if key not in signatures:
        raise invalid(f'Serving signature name: "{key}" not found in signature def')
    inputs, by_row = json_tensors.predict_inputs(document, signatures[key], limits)
    requests.check_inputs(inputs, limits)
    return JsonRequest(key, inputs, by_row)
