"""Runs a SavedModel through TensorFlow's C API, in a process that never imports TensorFlow.

This is the loader and the CPU kernels that TensorFlow Serving is built from, out of the installed wheel, with
nothing of Keras or Python around them. It is run as a script with one JSON request on stdin and answers one JSON
object on stdout. Only the standard library is imported, so the process starts in a moment.

Private names, checked with the TensorFlow 2.20 wheel for Linux: the mangled symbol of
`tensorflow::DisableXlaCompilation` (TensorFlow Serving calls it at start-up, and no C function does) and the
library file names. `tests/serving/test_servable_check.py` fails loudly if either moves.
"""

from __future__ import annotations

import base64
import ctypes
import importlib.util
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

DISABLE_XLA = "_ZN10tensorflow21DisableXlaCompilationEv"
FLOAT, STRING = 1, 7  # TF_FLOAT, TF_STRING
# TF_DataType of tf_datatype.h -> NumPy's name; those that TensorFlow Serving's REST API can write as JSON.
DTYPES = {FLOAT: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64", 10: "bool"}
DTYPES |= {17: "uint16", 22: "uint32", 23: "uint64"}
STRING_BYTES = 24  # sizeof(TF_TString)

# What a function of the C API returns, where that is not an int. Arguments are always wrapped by hand.
POINTERS = (
    "TF_NewStatus TF_NewGraph TF_NewSessionOptions TF_LoadLibrary TF_LoadSessionFromSavedModel TF_GraphOperationByName "
    "TF_AllocateTensor TF_TensorData TF_StringGetDataPointer"
).split()
SIZES = "TF_Dim TF_TensorByteSize TF_StringGetSize".split()


class Output(ctypes.Structure):
    """TF_Output: one output of one operation."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class Buffer(ctypes.Structure):
    """TF_Buffer: bytes that TensorFlow owns."""

    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p)]


class Failed(Exception):
    """The C API answered with a status other than OK; the message is TensorFlow's own."""


def find_libraries() -> dict[str, list[str]]:
    """Paths of the shared libraries of TensorFlow and of tensorflow_text's ops, found without importing either.

    Raises:
        FileNotFoundError: TensorFlow is not installed or is laid out otherwise than the wheel for Linux.
    """
    core = []
    for pattern in ("libtensorflow_framework.so.*", "libtensorflow_cc.so.*"):
        paths = sorted(path for folder in _package_folders("tensorflow") for path in folder.glob(pattern))
        if not paths:
            raise FileNotFoundError(f"no {pattern} in the installed tensorflow; install its wheel for Linux")
        core.append(str(paths[0]))
    ops = (path for folder in _package_folders("tensorflow_text") for path in folder.glob("python/ops/_*.so"))
    return {"core": core, "ops": sorted(map(str, ops))}


def _package_folders(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []


class Library:
    """TensorFlow's C API with XLA disabled and the given op libraries loaded."""

    def __init__(self, core: list[str], ops: list[str]):
        # Global, because the op libraries look up TensorFlow's symbols in whatever the process has loaded.
        self.c = [ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL) for path in core][-1]
        for name in POINTERS:
            getattr(self.c, name).restype = ctypes.c_void_p
        for name in SIZES:
            getattr(self.c, name).restype = ctypes.c_int64
        self.c.TF_Message.restype = ctypes.c_char_p
        self.c.TF_GetRegisteredKernelsForOp.restype = ctypes.POINTER(Buffer)
        self.status = ctypes.c_void_p(self.c.TF_NewStatus())
        getattr(self.c, DISABLE_XLA)()
        for path in ops:
            self.c.TF_LoadLibrary(path.encode(), self.status)
            self.raise_if_failed()

    def raise_if_failed(self) -> None:
        """Raises Failed with TensorFlow's message, on one line, if the last call did not succeed."""
        if self.c.TF_GetCode(self.status):
            raise Failed(" ".join(self.c.TF_Message(self.status).decode("utf-8", "replace").split()))

    def kernels(self, op: str) -> bytes:
        """The serialized KernelList of one op; empty where none is registered."""
        buffer = self.c.TF_GetRegisteredKernelsForOp(op.encode(), self.status)
        self.raise_if_failed()
        data = ctypes.string_at(buffer.contents.data, buffer.contents.length)
        self.c.TF_DeleteBuffer(buffer)
        return data

    def to_tensor(self, values: list[str] | dict[str, Any]) -> ctypes.c_void_p:
        """What `feed` made -> a TF_Tensor of (batch,) strings or numbers."""
        if isinstance(values, dict):
            return self._number_tensor(values["dtype"], values["rows"], base64.b64decode(values["bytes"]))
        rows = [base64.b64decode(row) for row in values]
        shape = (ctypes.c_int64 * 1)(len(rows))
        tensor = ctypes.c_void_p(self.c.TF_AllocateTensor(STRING, shape, 1, ctypes.c_size_t(STRING_BYTES * len(rows))))
        start = self.c.TF_TensorData(tensor)
        for index, row in enumerate(rows):
            element = ctypes.c_void_p(start + STRING_BYTES * index)
            self.c.TF_StringInit(element)
            self.c.TF_StringCopy(element, row, ctypes.c_size_t(len(row)))
        return tensor

    def _number_tensor(self, dtype: int, rows: int, data: bytes) -> ctypes.c_void_p:
        shape = (ctypes.c_int64 * 1)(rows)
        tensor = ctypes.c_void_p(self.c.TF_AllocateTensor(dtype, shape, 1, ctypes.c_size_t(len(data))))
        ctypes.memmove(self.c.TF_TensorData(tensor), data, len(data))
        return tensor

    def from_tensor(self, tensor: ctypes.c_void_p) -> dict[str, Any]:
        """TF_Tensor -> its dtype code, shape and content: base64 of the bytes, or of each string."""
        shape = [self.c.TF_Dim(tensor, axis) for axis in range(self.c.TF_NumDims(tensor))]
        dtype, start = self.c.TF_TensorType(tensor), self.c.TF_TensorData(tensor)
        size = self.c.TF_TensorByteSize(tensor)
        if dtype != STRING:
            return {"dtype": dtype, "shape": shape, "bytes": encode(ctypes.string_at(start, size))}
        rows = []
        for offset in range(0, size, STRING_BYTES):
            element = ctypes.c_void_p(start + offset)
            data = self.c.TF_StringGetDataPointer(element)
            rows.append(encode(ctypes.string_at(data, self.c.TF_StringGetSize(element))))
        return {"dtype": dtype, "shape": shape, "rows": rows}


class Session:
    """One SavedModel, loaded with the tag `serve`."""

    def __init__(self, library: Library, saved_model: str):
        self.library, self.c = library, library.c
        self.graph = ctypes.c_void_p(self.c.TF_NewGraph())
        options = ctypes.c_void_p(self.c.TF_NewSessionOptions())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = ctypes.c_void_p(
            self.c.TF_LoadSessionFromSavedModel(
                options, None, os.fsencode(saved_model), tags, 1, self.graph, None, library.status
            )
        )
        library.raise_if_failed()

    def output(self, name: str) -> Output:
        """`node:1` -> the TF_Output it names."""
        node, _, index = name.rpartition(":")
        operation = self.c.TF_GraphOperationByName(self.graph, node.encode())
        if not operation:
            raise Failed(f"the graph has no node '{node}'")
        return Output(operation, int(index))

    def run(self, inputs: dict[str, Any], outputs: dict[str, str]) -> dict[str, Any]:
        """Feeds what `feed` made by tensor name, fetches tensors by name; answers under the keys of `outputs`."""
        feeds = (Output * len(inputs))(*map(self.output, inputs))
        fetches = (Output * len(outputs))(*map(self.output, outputs.values()))
        values = [self.library.to_tensor(rows) for rows in inputs.values()]
        results = (ctypes.c_void_p * len(outputs))()
        status = self.library.status
        self.c.TF_SessionRun(
            self.session, None,
            feeds, (ctypes.c_void_p * len(values))(*[value.value for value in values]), len(values),
            fetches, results, len(outputs),
            None, 0, None, status,
        )  # fmt: skip
        for value in values:
            self.c.TF_DeleteTensor(value)
        self.library.raise_if_failed()
        answer = {
            key: self.library.from_tensor(ctypes.c_void_p(result)) for key, result in zip(outputs, results, strict=True)
        }
        for result in results:
            self.c.TF_DeleteTensor(ctypes.c_void_p(result))
        return answer


def encode(data: bytes) -> str:
    """Bytes -> base64 text, as they travel in the request and the answer."""
    return base64.b64encode(data).decode("ascii")


def feed(values: Sequence[bytes] | np.ndarray) -> list[str] | dict[str, Any]:
    """(batch,) byte strings or numbers -> the form in which they travel in the request."""
    if isinstance(values, Sequence):
        return [encode(row) for row in values]
    code = next(code for code, name in DTYPES.items() if name == values.dtype.name)
    return {"dtype": code, "rows": len(values), "bytes": encode(values.tobytes())}


def to_array(value: dict[str, Any]) -> np.ndarray:
    """One tensor of an answer -> an array; strings are byte strings in an object array."""
    import numpy as np

    if value["dtype"] != STRING:
        return np.frombuffer(base64.b64decode(value["bytes"]), DTYPES[value["dtype"]]).reshape(value["shape"])
    array = np.empty(len(value["rows"]), object)
    array[:] = [base64.b64decode(row) for row in value["rows"]]
    return array.reshape(value["shape"])


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Lists the kernels of `ops`, loads `saved_model` and does its `runs`, each its own failure or arrays.

    Without a `saved_model` it only lists kernels: loading one runs its initialiser.

    What it took is in the answer too: wall seconds and CPU seconds (of all threads) of each run, seconds to load, and
    the most memory the process had held, in bytes: before the load, after it, and after each run.
    """
    library = Library(**request["libraries"])
    # Whether TensorFlow is here is said by the process itself, so that the parent can refuse an answer that Python's
    # TensorFlow had a hand in.
    reply: dict[str, Any] = {
        "imported_tensorflow": "tensorflow" in sys.modules,
        "not_confined": os.environ.get("KERASFT_NOT_CONFINED"),  # None: nobody confined it, see confinement.py
        "kernels": {op: encode(library.kernels(op)) for op in request["ops"]},
        "peak_bytes": _peak_bytes(),
        "runs": [],
    }
    if request["saved_model"] is None:
        return reply
    start = time.monotonic()
    try:
        session = Session(library, request["saved_model"])
    except Failed as failed:
        return {**reply, "load_error": str(failed)}
    reply |= {"load_seconds": time.monotonic() - start, "loaded_peak_bytes": _peak_bytes()}
    for run in request["runs"]:
        start, cpu = time.monotonic(), time.process_time()
        try:
            result: dict[str, Any] = {"outputs": session.run(run["inputs"], run["outputs"])}
        except Failed as failed:
            result = {"error": str(failed)}
        durations = {"seconds": time.monotonic() - start, "cpu_seconds": time.process_time() - cpu}
        reply["runs"].append({**result, **durations, "peak_bytes": _peak_bytes()})
    return reply


def _peak_bytes() -> int:
    # Not getrusage's ru_maxrss: that starts at what the parent held when it forked.
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    stdout = os.dup(1)
    os.dup2(2, 1)  # whatever the C++ code prints must not land in the answer
    with os.fdopen(stdout, "w", encoding="utf-8") as stream:
        json.dump(answer(json.load(sys.stdin)), stream)
