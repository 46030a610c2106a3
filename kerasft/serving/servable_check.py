"""Checks that a SavedModel can be served: its ops, its signatures, and its answers without Python's TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.serving import capi
from kerasft.serving.capi_process import run_capi
from kerasft.serving.probes import Inputs, Numbers, rows_of
from kerasft.serving.rankings import in_order_of
from kerasft.serving.servable_graph import (
    METHODS,
    ServableError,
    check_kernels,
    check_ops,
    check_signatures,
    read_meta_graph,
)

if TYPE_CHECKING:
    from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

Arrays = Mapping[str, np.ndarray]

TOLERANCE = 1e-4
TIMEOUT_SECONDS = 300.0


@dataclass(frozen=True)
class ServableReport:
    """What was checked: kinds of op, signatures, rows, the largest difference between floats, wall seconds."""

    ops: int
    signatures: tuple[str, ...]
    rows: int
    largest_difference: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"servable: {self.ops} kinds of op, signatures {', '.join(self.signatures)}, {self.rows} texts, "
            f"largest difference {self.largest_difference:.1e}, {self.seconds:.1f} s"
        )


def check(
    saved_model: Path,
    inputs: Inputs,
    expected: Mapping[str, Arrays] | None = None,
    timeout: float = TIMEOUT_SECONDS,
    numbers: Numbers | None = None,
    confined: bool = False,
    own: Mapping[str, Inputs] | None = None,
) -> ServableReport:
    """Refuses a SavedModel that cannot be served: makes a `Check`, runs it in a process of its own, and judges.

    Args:
        saved_model, inputs, expected, numbers, own: of `Check`.
        timeout: seconds that the process may take.
        confined: run it without rights, see `run_capi`.

    Raises:
        ServableError: names the op, the signature or the difference.
        UserError: there is no SavedModel.
    """
    whole = Check(saved_model, inputs, expected, numbers, own)
    return whole.report(run_capi(saved_model, whole.ops, whole.runs, timeout, confined=confined))


class Check:
    """What a SavedModel is asked before it may be served.

    Its ops and signatures are read, then a process that never imports TensorFlow runs every signature through the
    C API with XLA disabled: on all rows at once and on each row alone, which must agree.

    Args:
        saved_model: the version folder, which holds saved_model.pb.
        inputs: {column: (rows,) byte strings}, the inputs of serving_default.
        expected: {signature: {output: (rows, ...)}}, answers to all rows at once that the served ones must equal,
            floats within 1e-4 (relative where above 1) and all else exactly. None: only rows are compared.
        numbers: {signature: {input: (rows,)}}, for signatures that take numbers besides `inputs`.
        own: {signature: {column: (rows,) byte strings}}, for signatures that take others than `inputs`.

    Attributes:
        ops: kinds of op that it has.
        runs: as `run_capi` takes them.

    Raises:
        ServableError: it has an op or a signature that can't be served.
        UserError: there is no SavedModel.
    """

    def __init__(
        self,
        saved_model: Path,
        inputs: Inputs,
        expected: Mapping[str, Arrays] | None = None,
        numbers: Numbers | None = None,
        own: Mapping[str, Inputs] | None = None,
    ):
        self._start, self._expected = time.monotonic(), expected
        meta_graph = read_meta_graph(saved_model)
        self._signatures = {
            key: value for key, value in sorted(meta_graph.signature_def.items()) if not key.startswith("__")
        }
        self.ops = check_ops(meta_graph)
        self._texts = {key: (own or {}).get(key, inputs) for key in self._signatures}
        check_signatures(self._signatures, self._texts, numbers or {})
        rows = rows_of(inputs)
        self._batches = [list(range(rows)), *([row] for row in range(rows))]
        self.runs = [
            _run(key, signature, {**self._texts[key], **(numbers or {}).get(key, {})}, batch)
            for key, signature in self._signatures.items()
            for batch in self._batches
        ]

    def report(self, reply: Mapping[str, Any]) -> ServableReport:
        """What the process answered to `ops` and `runs`, judged.

        Raises:
            ServableError: names the op, the signature or the difference.
        """
        check_kernels(reply["kernels"])
        check_loaded(reply)
        results = iter(reply["runs"])
        largest = 0.0
        for key, signature in self._signatures.items():
            answers = [_arrays(key, next(results), len(batch)) for batch in self._batches]
            reference = self._expected[key] if self._expected is not None else None
            largest = max(largest, _compare_rows(key, signature, self._texts[key], answers, reference))
        rows, seconds = len(self._batches[0]), time.monotonic() - self._start
        return ServableReport(len(self.ops), tuple(self._signatures), rows, largest, seconds)


def check_loaded(reply: Mapping[str, Any]) -> None:
    """Raises ServableError where the C API could not load the SavedModel."""
    if "load_error" in reply:
        raise ServableError(f"the C API cannot load it: {reply['load_error']}")


def _run(key: str, signature: SignatureDef, inputs: Mapping[str, Any], batch: Sequence[int]) -> dict[str, Any]:
    columns = {
        name: values[batch] if isinstance(values, np.ndarray) else [values[row] for row in batch]
        for name, values in inputs.items()
    }
    if key in METHODS:
        columns = {"inputs": to_examples(columns)}
    return {
        "inputs": {signature.inputs[name].name: capi.feed(columns[name]) for name in columns},
        "outputs": {name: info.name for name, info in signature.outputs.items()},
    }


def to_examples(columns: Mapping[str, Sequence[bytes] | np.ndarray]) -> list[bytes]:
    """{column: (rows,) byte strings} -> (rows,) serialized tf.Examples with one string feature a column."""
    from tensorflow.core.example.example_pb2 import Example

    examples = []
    for values in zip(*columns.values(), strict=True):
        example = Example()
        for name, value in zip(columns, values, strict=True):
            example.features.feature[name].bytes_list.value.append(value)
        examples.append(example.SerializeToString())
    return examples


def _arrays(key: str, result: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
    if "error" in result:
        raise ServableError(f"{key}: {result['error']}")
    arrays = {name: capi.to_array(value) for name, value in result["outputs"].items()}
    for name, array in arrays.items():
        if array.ndim == 0 or len(array) != rows:
            raise ServableError(f"{key}: output '{name}' has shape {array.shape} for a batch of {rows}")
    return arrays


def _compare_rows(
    key: str, signature: SignatureDef, inputs: Inputs, answers: Sequence[Arrays], expected: Arrays | None
) -> float:
    """Row by row: alone against in a batch, and in a batch against `expected`; returns the largest difference."""
    together, *alone = answers
    # (batch, tokens) outputs are padded to the longest row, so only the part that both have is the same.
    shapes = {name: [dim.size for dim in info.tensor_shape.dim] for name, info in signature.outputs.items()}
    largest = 0.0
    for row, answer in enumerate(alone):
        text = " / ".join(repr(values[row][:40]) for values in inputs.values())
        in_batch = {name: array[row : row + 1] for name, array in together.items()}
        others = [("alone and in a batch", answer)]
        if expected is not None:
            others.append(("served and in Keras", {name: array[row : row + 1] for name, array in expected.items()}))
        for number, (words, other) in enumerate(others):
            other = in_order_of(in_batch, other)
            for name, array in in_batch.items():
                pair = (array, other[name]) if number else (other[name], array)
                if not number and -1 in shapes[name][1:]:
                    pair = _crop(pair)
                largest = max(largest, _difference(f"{key}: output '{name}' for {text}, {words},", *pair))
    return largest


def _crop(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    part = tuple(slice(min(sizes)) for sizes in zip(*(array.shape for array in arrays), strict=True))
    return [array[part] for array in arrays]


def _difference(where: str, actual: np.ndarray, reference: np.ndarray) -> float:
    if actual.shape != reference.shape:
        raise ServableError(f"{where} has shapes {actual.shape} and {reference.shape}")
    if actual.dtype.kind != "f":
        if not np.array_equal(actual, reference):
            raise ServableError(f"{where} is {actual.tolist()} and {reference.tolist()}")
        return 0.0
    if np.isnan(actual).any():
        raise ServableError(f"{where} is not a number")
    scaled = np.abs(actual - reference) / np.maximum(1.0, np.abs(reference))
    largest = float(scaled.max(initial=0.0))
    if not largest <= TOLERANCE:
        raise ServableError(f"{where} differs by {largest:.2g}, more than {TOLERANCE:g}")
    return largest
