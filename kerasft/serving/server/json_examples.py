"""The JSON of classify and regress requests -> tf.Examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorflow.core.example.example_pb2 import Example
from tensorflow.core.example.feature_pb2 import Feature
from tensorflow_serving.apis.input_pb2 import Input

from kerasft.serving.server.json_tensors import DEFAULT_LIMITS, is_base64, to_bytes, type_name
from kerasft.serving.server.requests import RequestLimits, too_many
from kerasft.serving.status import invalid

CONTEXT_KEY, EXAMPLES_KEY = "context", "examples"
INT64 = range(-(2**63), 2**63)
FLOAT32_MAX = 3.4028235e38


def examples(document: Mapping[str, Any], limits: RequestLimits = DEFAULT_LIMITS) -> Input:
    """A classify or regress request -> its examples, no more than the limits allow. Raises ServingError."""
    rows = document.get(EXAMPLES_KEY)
    if not isinstance(rows, list) or not rows:
        raise invalid(f"key '{EXAMPLES_KEY}' is expected, with a list that is not empty")
    if len(rows) > limits.rows:
        raise too_many(len(rows), limits)
    message = Input()
    if CONTEXT_KEY in document:
        _fill(message.example_list_with_context.context, document[CONTEXT_KEY])
        into = message.example_list_with_context.examples
    else:
        into = message.example_list.examples
    for row in rows:
        _fill(into.add(), row)
    return message


def _fill(example: Example, row: Any) -> None:
    if not isinstance(row, dict):
        raise invalid(f"Example must be JSON object but got JSON {type_name(row)}")
    for name, content in row.items():
        values = content if isinstance(content, list) else [content]
        to_bytes("a feature's name", name)  # one that has no UTF-8 form is refused
        feature = example.features.feature[name]
        for value in values:
            _add(feature, name, value)


def _add(feature: Feature, name: str, value: Any) -> None:
    if isinstance(value, str) or is_base64(value):
        _list(feature, "bytes_list", name).append(to_bytes(name, value))
    elif isinstance(value, int):  # true and false are numbers too
        if value not in INT64:
            raise invalid(f"Feature: {name} has an integer beyond int64.")
        _list(feature, "int64_list", name).append(int(value))
    elif isinstance(value, float):
        if FLOAT32_MAX < abs(value) < float("inf"):
            raise invalid(f"Feature: {name} has a number beyond float.")
        _list(feature, "float_list", name).append(value)
    else:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")


def _list(feature: Feature, kind: str, name: str):
    if feature.WhichOneof("kind") not in (None, kind):
        raise invalid(f"Unexpected element type in feature: {name}")
    return getattr(feature, kind).value
