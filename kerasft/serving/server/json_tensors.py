"""The JSON of the REST API -> inputs of a signature, after `json_tensor.cc` of tensorflow/serving.

Texts of a request are not quoted in errors: they may end in somebody's log.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from kerasft.serving.server.json_scan import contents
from kerasft.serving.server.loaded_model import Arrays
from kerasft.serving.server.proto_tensors import MOST_DIMENSIONS, check_shape
from kerasft.serving.server.requests import RequestLimits, too_many
from kerasft.serving.status import invalid

if TYPE_CHECKING:
    from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo

BASE64_KEY = "b64"
KEYS_SHARE = 8  # a key costs as much as eight other values, where it is new
SIGNATURE_KEY, ROW_KEY, COLUMN_KEY = "signature_name", "instances", "inputs"
DEFAULT_LIMITS = RequestLimits()
JSON_NAMES = {dict: "Object", list: "Array", str: "String", bool: "Bool", int: "Number", float: "Number"}


def check_contents(body: bytes, limits: RequestLimits) -> None:
    """Raises ServingError for a body with more values than a request may have, before any of them is made."""
    if len(body) <= limits.values // KEYS_SHARE:  # a value takes a byte or more
        return
    counts = contents(body)
    most_keys = limits.values // KEYS_SHARE
    for what, count, most in (("values", counts.values, limits.values), ("keys", counts.keys, most_keys)):
        if count > most:
            raise invalid(f"the request has {count} {what}; this server takes {most} at most")


def parse(body: bytes) -> dict[str, Any]:
    """The body of a request -> its JSON object. Raises ServingError."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        message = f"JSON Parse error: not UTF-8 at offset {error.start}; send other bytes as {{'b64': ...}}"
        raise invalid(message) from None
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except (RecursionError, ValueError):  # a number with more digits than Python reads
        raise invalid("JSON Parse error: nested too deeply, or a number too long") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value of type {type_name(document)} Is not object")
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request names, or an empty string. Raises ServingError."""
    name = document.get(SIGNATURE_KEY, "")
    if not isinstance(name, str):
        raise invalid("'signature_name' key must be a string value.")
    return name


def predict_inputs(
    document: Mapping[str, Any], signature: SignatureDef, limits: RequestLimits = DEFAULT_LIMITS
) -> tuple[Arrays, bool]:
    """A predict request -> all inputs of the signature, and whether it came row by row. Raises ServingError."""
    infos = signature.inputs
    if ROW_KEY in document and COLUMN_KEY in document:
        raise invalid(f"expecting only one of '{COLUMN_KEY}' or '{ROW_KEY}' keys to exist")
    if ROW_KEY in document:
        columns = _columns_of_rows(document[ROW_KEY], list(infos), limits)
    elif COLUMN_KEY in document:
        columns = _columns(document[COLUMN_KEY], list(infos))
    else:
        raise invalid(f"Missing '{COLUMN_KEY}' or '{ROW_KEY}' key")
    for values in columns.values():
        if isinstance(values, list) and len(values) > limits.rows:  # before there is an array of them
            raise too_many(len(values), limits)
    return {name: to_array(name, columns[name], infos[name]) for name in infos}, ROW_KEY in document


def _columns_of_rows(rows: Any, names: list[str], limits: RequestLimits) -> dict[str, Any]:
    if not isinstance(rows, list):
        raise invalid(f"Expecting '{ROW_KEY}' to be an list/array")
    if not rows:
        raise invalid(f"No values in '{ROW_KEY}' array")
    if len(rows) > limits.rows:
        raise too_many(len(rows), limits)
    are_objects = [isinstance(row, dict) and not is_base64(row) for row in rows]
    if not any(are_objects):
        if len(names) > 1:
            raise invalid(f"{ROW_KEY} is a plain list, but expecting list of objects as there are several inputs")
        return {names[0]: rows}
    if not all(are_objects):
        raise invalid(f"{ROW_KEY} has both objects and values: item {are_objects.index(False)} is no object")
    for number, row in enumerate(rows):
        if set(row) != set(names):
            raise invalid(f"Failed to process element: {number} of '{ROW_KEY}' list. Keys must be equal to: {names}")
    return {name: [row[name] for row in rows] for name in names}


def _columns(columns: Any, names: list[str]) -> dict[str, Any]:
    if not isinstance(columns, dict) or is_base64(columns):
        if len(names) > 1:
            raise invalid(f"{COLUMN_KEY} is a plain value/list, but expecting an object as there are several inputs")
        return {names[0]: columns}
    for name in names:
        if name not in columns:
            raise invalid(f"Missing named input: {name} in '{COLUMN_KEY}' object.")
    return columns


def to_array(name: str, value: Any, info: TensorInfo) -> np.ndarray:
    """Nested lists -> the tensor they are, of the signature's dtype. Raises ServingError."""
    shape, flat = _shape(value), []
    check_shape(name, shape, info)
    if len(shape) > MOST_DIMENSIONS:
        raise invalid(f"input '{name}' has {len(shape)} dimensions")
    _flatten(name, value, shape, flat)
    dtype = tf.dtypes.as_dtype(info.dtype)
    if dtype == tf.string:
        array = np.empty(len(flat), object)
        array[:] = [to_bytes(name, item) for item in flat]
        return array.reshape(shape)
    if not (dtype.is_bool or dtype.is_integer or dtype.is_floating):
        raise invalid(f"input '{name}' is of type {dtype.name}, which JSON does not have; ask over gRPC")
    for item in flat:
        _check_number(name, item, dtype)
    try:
        return np.array(flat, dtype.as_numpy_dtype).reshape(shape)
    except (OverflowError, TypeError, ValueError):
        raise invalid(f"input '{name}' has a value that is no {dtype.name}") from None


def _shape(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _flatten(name: str, value: Any, shape: tuple[int, ...], flat: list[Any]) -> None:
    if not isinstance(value, list):
        if shape:
            raise invalid(f"input '{name}': a {type_name(value)} where there should be a list of {shape[0]}")
        flat.append(value)
        return
    if not shape or len(value) != shape[0]:
        raise invalid(f"input '{name}': Encountered list at unexpected size: {len(value)}; lists of a level are alike")
    for item in value:
        _flatten(name, item, shape[1:], flat)


def to_bytes(name: str, value: Any) -> bytes:
    """A string, or {"b64": ...} -> its bytes. Raises ServingError; `name` says of what."""
    if is_base64(value):
        text = value[BASE64_KEY]
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise invalid(f"'{name}': Unable to base64 decode") from None
    if not isinstance(value, str):
        raise invalid(f"'{name}': a JSON Value of type {type_name(value)} is not of expected type: string")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise invalid(f"'{name}': JSON Parse error: the surrogate pair in string is invalid") from None


def is_base64(value: Any) -> bool:
    """Whether an object is the form of bytes."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(BASE64_KEY), str)


def _check_number(name: str, value: Any, dtype: tf.DType) -> None:
    if dtype.is_bool:
        fits = isinstance(value, bool)
    elif dtype.is_integer:
        least, most = _bounds(dtype)
        fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    else:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        if fits and (isinstance(value, int) or math.isfinite(value)):
            least, most = _bounds(dtype)
            fits = least <= value <= most
    if not fits:
        kind = type_name(value)
        raise invalid(f"input '{name}': a JSON Value of type {kind} is not, or not within, the expected {dtype.name}")


@functools.cache  # TensorFlow looks them up anew each time, which takes longer than all else about a number
def _bounds(dtype: tf.DType) -> tuple[float, float]:
    """The least and the greatest number; of floats as Python's, with which an int of any size can be compared."""
    return (dtype.min, dtype.max) if dtype.is_integer else (float(dtype.min), float(dtype.max))


def type_name(value: Any) -> str:
    """What JSON calls it."""
    return JSON_NAMES.get(type(value), "Null")
