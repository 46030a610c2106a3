"""Messages of the prediction API -> inputs of a signature, and outputs -> results; without a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tensorflow.core.example.example_pb2 import Example

from kerasft.serving.servable_graph import METHODS
from kerasft.serving.server.loaded_model import DEFAULT_SIGNATURE, Arrays, bytes_of
from kerasft.serving.server.offload import PLAIN
from kerasft.serving.server.proto_tensors import to_array
from kerasft.serving.status import ServingError, invalid

if TYPE_CHECKING:
    from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
    from tensorflow_serving.apis.classification_pb2 import ClassificationRequest
    from tensorflow_serving.apis.input_pb2 import Input
    from tensorflow_serving.apis.predict_pb2 import PredictRequest
    from tensorflow_serving.apis.regression_pb2 import RegressionRequest

INPUTS = "inputs"  # of a classify or regress signature
MOST_INPUTS = 1000  # of a signature
KINDS = {"classify": "classification", "regress": "regression"}


@dataclass(frozen=True)
class RequestLimits:
    """How much one request may hold.

    Args:
        rows: of its inputs.
        text_bytes: of one string, a serialized example among them.
        values: of its JSON (numbers, texts, lists, objects; an eighth of them keys); by gRPC what `proto_scan` counts.
        input_bytes: of all its inputs once they are read: one value may fill many rows, a context goes into each.
    """

    rows: int = 256
    text_bytes: int = 256 * 1024
    values: int = 2**19
    input_bytes: int = 64 * 2**20


def predict_inputs(request: PredictRequest, signature: SignatureDef, limits: RequestLimits) -> Arrays:
    """A PredictRequest -> all inputs of the signature. Raises ServingError."""
    if len(request.inputs) > MOST_INPUTS:  # before there is a string for each name
        raise invalid(f"inputs do not match the signature: there are {len(request.inputs)}")
    if set(request.inputs) != set(signature.inputs):
        extra, missing = (
            ", ".join(sorted(names)[:8]) or "none"
            for names in (set(request.inputs) - set(signature.inputs), set(signature.inputs) - set(request.inputs))
        )
        raise invalid(f"inputs do not match the signature: sent but unknown: {extra}; missing: {missing}")
    for tensor in request.inputs.values():
        dims = tensor.tensor_shape.dim
        if dims and dims[0].size > limits.rows:
            raise too_many(dims[0].size, limits)
    inputs = {
        name: to_array(name, request.inputs[name], info, limits.rows, limits.values)
        for name, info in signature.inputs.items()
    }
    check_inputs(inputs, limits)
    return inputs


def check_outputs(names: Iterable[str], signature: SignatureDef) -> None:
    """Raises ServingError where an output_filter names what there is not, or something twice."""
    names_before: set[str] = set()
    for name in names:
        if name not in signature.outputs:
            outputs = ",".join(sorted(signature.outputs))
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in {{{outputs}}}."
            )
        if name in names_before:
            raise invalid(f"duplicate output tensor alias: {name}")
        names_before.add(name)


def work_of(request: ClassificationRequest | RegressionRequest, limits: RequestLimits) -> int:
    """About how many bytes `example_inputs` goes through: the context of a few kilobytes goes into each example."""
    example_list = request.input.example_list_with_context
    size, rows = request.ByteSize(), min(len(example_list.examples), limits.rows)
    return max(size, min(PLAIN, example_list.context.ByteSize() * rows))


def example_inputs(examples: Input, limits: RequestLimits) -> Arrays:
    """The Input of a classify or regress request -> serialized examples, each with the context merged into it."""
    kind = examples.WhichOneof("kind")
    with_context = kind == "example_list_with_context"
    protos = (examples.example_list_with_context if with_context else examples.example_list).examples
    if not protos:
        raise invalid("Input is empty.")
    if len(protos) > limits.rows:  # before there is an object for each
        raise too_many(len(protos), limits)
    array = np.empty(len(protos), object)
    if with_context:
        context = examples.example_list_with_context.context
        if (size := context.ByteSize()) > limits.text_bytes or size * len(protos) > limits.input_bytes:
            raise invalid(f"the context has {size} bytes, for {len(protos)} examples; this server takes fewer")
        array[:] = [_merged(context, example).SerializeToString() for example in protos]
    else:
        array[:] = [example.SerializeToString() for example in protos]
    inputs = {INPUTS: array}
    check_inputs(inputs, limits)
    return inputs


def _merged(context: Example, example: Example) -> Example:
    both = Example()
    both.CopyFrom(context)
    both.MergeFrom(example)
    return both


def check_inputs(inputs: Mapping[str, np.ndarray], limits: RequestLimits) -> None:
    """Raises ServingError for more rows or longer texts than one request may have, or none."""
    sizes = {len(array) for array in inputs.values() if array.ndim}
    if len(sizes) > 1:
        listed = ", ".join(f"'{name}' {len(array)}" for name, array in inputs.items() if array.ndim)
        raise invalid(f"inputs have different numbers of rows: {listed}")
    if 0 in sizes:
        raise invalid("the request has no rows")
    if sizes and max(sizes) > limits.rows:
        raise too_many(max(sizes), limits)
    for name, array in inputs.items():
        if array.dtype == object and (longest := max(map(len, array.ravel()), default=0)) > limits.text_bytes:
            raise invalid(
                f"input '{name}' has a text of {longest} bytes; this server takes {limits.text_bytes} at most"
            )
    if (size := bytes_of(inputs)) > limits.input_bytes:
        raise invalid(f"the inputs have {size} bytes once they are read; this server takes {limits.input_bytes}")


def too_many(rows: int, limits: RequestLimits) -> ServingError:
    """For a request of so many rows."""
    return invalid(f"the request has {rows} rows; this server takes {limits.rows} at most")


def method_signature(signatures: Mapping[str, SignatureDef], key: str, method: str) -> str:
    """The signature that a classify or regress request means. Raises ServingError where it is not one of those."""
    key = key or DEFAULT_SIGNATURE
    if key not in signatures:
        raise invalid(f"No signature was found with the name: {key}")
    if (actual := signatures[key].method_name) != METHODS[method]:
        raise invalid(f"Expected {KINDS[method]} signature method_name to be {METHODS[method]}. Was: {actual}")
    return key


def classifications(outputs: Mapping[str, np.ndarray], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs of a classify signature -> (rows, labels) label names and scores; empty or 0 where it has none of them.

    Raises:
        ServingError: they have other shapes.
    """
    classes, scores = outputs.get("classes"), outputs.get("scores")
    arrays = [array for array in (classes, scores) if array is not None]
    if not arrays or any(array.ndim != 2 or array.shape != arrays[0].shape or len(array) != rows for array in arrays):
        raise invalid("Expected Tensor shape: [batch_size num_classes] of classes and scores")
    shape = arrays[0].shape
    labels = np.full(shape, b"", object) if classes is None else classes
    return labels, np.zeros(shape, np.float32) if scores is None else scores


def regressions(outputs: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    """Outputs of a regress signature -> (rows,) float32. Raises ServingError."""
    values = outputs.get("outputs")
    if values is None or values.shape not in ((rows,), (rows, 1)):
        raise invalid("Expected a regression of shape [batch_size] or [batch_size 1]")
    return values.reshape(rows)
