"""What a model answers -> the JSON of the REST API, after `json_tensor.cc` of tensorflow/serving.

Rows are written some at a time: Python's `json` holds its lock for as long as it writes, and others wait for it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.serving.server.json_tensors import BASE64_KEY
from kerasft.serving.status import invalid

BYTES_SUFFIX = "_bytes"  # outputs of such names are written as base64
TOGETHER = 4096  # values that are written in one go


def predictions(outputs: Mapping[str, np.ndarray], by_row: bool) -> bytes:
    """Outputs of a signature -> the answer's JSON object; an only output goes without its name. Raises ServingError."""
    if not by_row:
        columns = {name: _column(name, array) for name, array in outputs.items()}
        if len(columns) == 1:
            return b'{"outputs": %s}' % next(iter(columns.values()))
        return b'{"outputs": {%s}}' % b", ".join(b"%s: %s" % (dump(name), text) for name, text in columns.items())
    sizes = {array.shape[:1] for array in outputs.values()}
    if len(sizes) != 1 or () in sizes:
        raise invalid("outputs have different numbers of rows; ask with 'inputs' instead of 'instances'")
    parts = []
    for part in _parts(list(outputs.values())):
        columns = {name: _json(name, array[part]) for name, array in outputs.items()}
        rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
        parts.append(next(iter(columns.values())) if len(columns) == 1 else rows)
    return b'{"predictions": %s}' % _joined(parts)


def classifications(labels: np.ndarray, scores: np.ndarray) -> bytes:
    """(rows, labels) label names and scores -> the answer's JSON object."""
    parts = []
    for part in _parts([labels, scores]):
        rows = zip(labels[part].tolist(), shortest(scores[part]))
        parts.append([list(zip(map(to_text, row), values)) for row, values in rows])
    return b'{"results": %s}' % _joined(parts)


def regressions(values: np.ndarray) -> bytes:
    """(rows,) values -> the answer's JSON object."""
    return b'{"results": %s}' % _column("", values)


def _parts(arrays: Sequence[np.ndarray]) -> Iterator[slice]:
    """Some rows at a time of arrays with the same number of rows; one part where there are none."""
    rows = len(arrays[0])
    together = max(1, TOGETHER * rows // max(1, sum(array.size for array in arrays)))
    for start in range(0, max(1, rows), together):
        yield slice(start, start + together)


def _joined(parts: Sequence[list]) -> bytes:
    return b"[%s]" % b", ".join(text for part in parts if (text := dump(part)[1:-1]))


def _column(name: str, array: np.ndarray) -> bytes:
    if array.ndim == 0:
        return dump(_json(name, array))
    return _joined([_json(name, array[part]) for part in _parts([array])])


def _json(name: str, array: np.ndarray) -> Any:
    if array.dtype == object:
        return _strings(array.tolist(), name.endswith(BYTES_SUFFIX))
    return shortest(array)


def _strings(value: Any, as_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_strings(item, as_bytes) for item in value]
    if as_bytes:
        return {BASE64_KEY: base64.b64encode(value).decode("ascii")}
    return to_text(value)


def to_text(value: bytes) -> str:
    """Bytes that a model answers -> a string of JSON."""
    return value.decode("utf-8", "replace")


def shortest(array: np.ndarray) -> Any:
    """Numbers -> Python's, floats so that they are written with no more digits than their dtype has."""
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        return array.astype(str).astype(np.float64).tolist()
    return array.tolist()


def dump(answer: Any) -> bytes:
    """An answer's JSON; NaN and Infinity stand as such, as TensorFlow Serving writes them."""
    # A name that a client made up, quoted in an error, may have no UTF-8 form.
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
