"""`/openapi.json`: what can be asked of the models that answer now, for clients and tools that read OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from kerasft import __version__
from kerasft.serving.bundle import METRICS_PATH
from kerasft.serving.servable_graph import METHODS
from kerasft.serving.server.json_answers import BYTES_SUFFIX
from kerasft.serving.server.requests import DEFAULT_SIGNATURE

if TYPE_CHECKING:
    from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo

    from kerasft.serving.server.manager import Manager
    from kerasft.serving.server.versions import Version

Schema = dict[str, Any]
BYTES: Schema = {"type": "object", "properties": {"b64": {"type": "string"}}, "required": ["b64"]}
ERROR: Schema = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
# What is there whatever is served: path -> summary.
ALWAYS = {
    "/v1/models": "All models, their versions and labels",
    "/healthz/live": "Whether the server runs",
    "/healthz/ready": "Whether every model answers; 503 where one does not",
    "/monitoring/drift": "What the models are asked and answer, beside their references",
    METRICS_PATH: "Metrics in Prometheus' text format",
}


def document(manager: Manager, tokens: bool) -> Schema:
    """The document.

    Args:
        manager: has the models.
        tokens: whether a bearer token is needed.
    """
    paths: dict[str, Any] = {path: {"get": _operation(summary, {})} for path, summary in ALWAYS.items()}
    for name, model in sorted(manager.models.items()):
        for version in model.available()[-1:]:
            paths |= _of_model(f"/v1/models/{name}", version)
    schema: Schema = {
        "openapi": "3.1.0",
        "info": {"title": "kerasft serve", "version": __version__},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": {"Error": ERROR}},
    }
    if tokens:
        schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"token": []}]
    return schema


def _of_model(path: str, version: Version) -> Schema:
    about = f"the newest version, now {version.number}; /versions/N or /labels/L before the colon asks another"
    paths: Schema = {
        path: {"get": _operation("States of the versions", {})},
        f"{path}/metadata": {"get": _operation("The signatures", {})},
    }
    signatures = version.model.signatures
    if DEFAULT_SIGNATURE in signatures:
        paths[f"{path}:predict"] = {"post": _predict(signatures, about)}
    for method, results in RESULTS.items():
        keys = [key for key, signature in signatures.items() if signature.method_name == METHODS[method]]
        if keys:
            body = _object({"signature_name": {"enum": keys}, "examples": EXAMPLES, "context": {"type": "object"}}, 2)
            operation = _operation(f"{method.capitalize()} with {about}", _object({"results": results}, 1), body)
            paths[f"{path}:{method}"] = {"post": operation}
    return paths


def _predict(signatures: Mapping[str, SignatureDef], about: str) -> Schema:
    signature = signatures[DEFAULT_SIGNATURE]
    inputs = {name: _schema(info, "") for name, info in sorted(signature.inputs.items())}
    outputs = {name: _schema(info, name) for name, info in sorted(signature.outputs.items())}
    by_row = _object({name: _row(schema) for name, schema in inputs.items()}, len(inputs))
    row = {"anyOf": [by_row, _row(next(iter(inputs.values())))]} if len(inputs) == 1 else by_row
    keys = {"enum": [key for key, each in signatures.items() if each.method_name not in METHODS.values()]}
    name = {"signature_name": {**keys, "default": DEFAULT_SIGNATURE}}
    body = {
        "oneOf": [
            _object({"instances": _array(row), **name}, 1),
            _object({"inputs": _only(inputs), **name}, 1),
        ]
    }
    rows = _array(_only({key: _row(schema) for key, schema in outputs.items()}))
    answer = {"oneOf": [_object({"predictions": rows}, 1), _object({"outputs": _only(outputs)}, 1)]}
    return _operation(f"Predict with {about}", answer, body)


def _only(columns: Mapping[str, Schema]) -> Schema:
    """An only output goes without its name."""
    return _object(columns, len(columns)) if len(columns) > 1 else next(iter(columns.values()))


def _row(schema: Schema) -> Schema:
    return schema.get("items", schema)


def _schema(info: TensorInfo, name: str) -> Schema:
    dtype = tf.dtypes.as_dtype(info.dtype)
    if dtype == tf.string:
        schema: Schema = BYTES if name.endswith(BYTES_SUFFIX) else {"type": "string"}
        schema = schema if name else {"anyOf": [schema, BYTES]}
    else:
        schema = {"type": "boolean" if dtype.is_bool else "integer" if dtype.is_integer else "number"}
    if info.tensor_shape.unknown_rank:
        return {}
    for dim in reversed(info.tensor_shape.dim):
        schema = _array(schema) | ({"minItems": dim.size, "maxItems": dim.size} if dim.size >= 0 else {})
    return schema


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(properties: Mapping[str, Any], required: int) -> Schema:
    """An object that needs the first so many of its properties."""
    return {"type": "object", "properties": dict(properties), "required": list(properties)[:required]}


EXAMPLES = _array({"type": "object", "additionalProperties": True})
RESULTS = {
    "classify": _array(_array({"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]})),
    "regress": _array({"type": "number"}),
}


def _operation(summary: str, answer: Schema, body: Schema | None = None) -> Schema:
    refused = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    operation: Schema = {
        "summary": summary,
        "responses": {
            "200": {"description": "The answer", "content": {"application/json": {"schema": answer}}},
            "default": {"description": "What went wrong", **refused},
        },
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation
