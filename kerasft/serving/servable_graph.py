"""Reads a SavedModel's graph and refuses what TensorFlow Serving cannot load, run or batch."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.errors import ServableError, UserError
from kerasft.serving import capi

if TYPE_CHECKING:
    import numpy as np
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.core.protobuf.meta_graph_pb2 import AssetFileDef, MetaGraphDef, SignatureDef, TensorInfo

PREDICT = "tensorflow/serving/predict"
# Signatures whose one input is "inputs", serialized tf.Examples; they go by the name TensorFlow Serving gives them.
METHODS = {"classify": "tensorflow/serving/classify", "regress": "tensorflow/serving/regress"}
# What TensorFlow Serving reads of them, and in which ranks.
METHOD_OUTPUTS = {"classify": {"classes": (2,), "scores": (2,)}, "regress": {"outputs": (1, 2)}}

# What the kernel registry cannot tell: these have kernels in the wheel and still do not belong in a server.
NO_PYTHON = "calls Python, which a server does not have"
GROWS = "adds to a hash table, which grows without bound in a server"
REFUSED_OPS = {
    "PyFunc": NO_PYTHON,
    "PyFuncStateless": NO_PYTHON,
    "EagerPyFunc": NO_PYTHON,
    "LookupTableInsert": GROWS,
    "LookupTableInsertV2": GROWS,
}
ASSETS_COLLECTION = "saved_model_assets"  # TensorFlow 1's
NO_XLA = "needs XLA, which TensorFlow Serving disables"


def read_meta_graph(saved_model: Path) -> MetaGraphDef:
    """The graph that servers load, the one tagged `serve`. Raises UserError or ServableError if there is none."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    file = saved_model / "saved_model.pb"
    if not file.is_file():
        raise UserError(f"{saved_model}: holds no saved_model.pb; give a version folder such as saved_models/NAME/1")
    try:
        proto = SavedModel.FromString(file.read_bytes())
    except DecodeError as error:
        raise ServableError(f"{file}: not a SavedModel: {error}") from error
    for meta_graph in proto.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == {"serve"}:  # as loaders compare them: a tag twice is one tag
            return meta_graph
    raise ServableError(f"{file}: no graph has the one tag 'serve', the one that TensorFlow Serving loads")


def asset_files(meta_graph: MetaGraphDef) -> list[AssetFileDef]:
    """The assets of a graph, as loaders find them: of their own field, or of TensorFlow 1's collection."""
    if meta_graph.asset_file_def or ASSETS_COLLECTION not in meta_graph.collection_def:
        return list(meta_graph.asset_file_def)
    from tensorflow.core.protobuf.meta_graph_pb2 import AssetFileDef

    packed = meta_graph.collection_def[ASSETS_COLLECTION].any_list.value
    return [AssetFileDef.FromString(each.value) for each in packed]


def tensor_names(infos: Iterable[TensorInfo]) -> Iterator[str]:
    """The tensors of a signature's inputs or outputs, in whatever form; some names may be empty."""
    for info in infos:
        yield info.name
        sparse = info.coo_sparse
        yield from (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
        yield from tensor_names(info.composite_tensor.components)


def _nodes(meta_graph: MetaGraphDef) -> Iterator[tuple[str, NodeDef]]:
    for node in meta_graph.graph_def.node:
        yield "the main graph", node
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            yield function.signature.name, node


def check_ops(meta_graph: MetaGraphDef) -> list[str]:
    """The kinds of op in the graph and its functions, sorted; raises ServableError for one refused by name."""
    for fault in op_faults(meta_graph, REFUSED_OPS):
        raise ServableError(fault)
    return kinds_of_op(meta_graph)


def kinds_of_op(meta_graph: MetaGraphDef) -> list[str]:
    """The kinds of op in the graph and its functions, sorted."""
    functions = {function.signature.name for function in meta_graph.graph_def.library.function}
    return sorted({node.op for _, node in _nodes(meta_graph)} - functions)


def op_faults(meta_graph: MetaGraphDef, refused: Mapping[str, str]) -> Iterator[str]:
    """What needs XLA and what `refused` (op -> why) names: a line for each function and each kind of op."""
    for function in meta_graph.graph_def.library.function:
        if function.attr["_XlaMustCompile"].b:
            yield f"function {function.signature.name}: is jit_compiled, so it {NO_XLA}"
    reported = set()
    for where, node in _nodes(meta_graph):
        reason = NO_XLA if node.op.startswith("Xla") else refused.get(node.op)
        if "_XlaMustCompile" in node.attr and node.attr["_XlaMustCompile"].b:
            reason = NO_XLA
        if reason and node.op not in reported:
            reported.add(node.op)
            yield f"op {node.op} (node {node.name} of {where}) {reason}"


def check_signatures(
    signatures: Mapping[str, SignatureDef],
    columns: Mapping[str, Iterable[str]],
    numbers: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> None:
    """Raises ServableError for a method, input or output that TensorFlow Serving refuses or cannot batch.

    Args:
        signatures: name -> signature, as the SavedModel has them.
        columns: names of the strings that each signature takes.
        numbers: {signature: {input: values}}, what some take besides.
    """
    for key in numbers or {}:
        if key not in signatures:
            raise ServableError(f"no signature {key}; there is {', '.join(signatures)}")
    if "serving_default" not in signatures:
        raise ServableError(f"no signature serving_default; there is {', '.join(signatures) or 'none'}")
    for key, signature in signatures.items():
        method = METHODS.get(key, PREDICT)
        if signature.method_name != method:
            raise ServableError(f"{key}: the method name is '{signature.method_name}', not '{method}'")
        more = (numbers or {}).get(key, {})
        names = {"inputs"} if key in METHODS else {*columns[key], *more}
        if set(signature.inputs) != names:
            raise ServableError(f"{key}: its inputs are {_names(signature.inputs)}, not {_names(names)}")
        for kind, tensors in (("input", signature.inputs), ("output", signature.outputs)):
            for name, info in tensors.items():
                _check_tensor(f"{key}: {kind} '{name}'", info)
        for name, info in signature.inputs.items():
            dtype = more[name].dtype.name if name in more else "string"
            if capi.DTYPES.get(info.dtype, "string") != dtype:
                raise ServableError(f"{key}: input '{name}' is not of the type {dtype}")
        if key in METHODS:
            _check_method_outputs(key, signature)


def _check_tensor(where: str, info: TensorInfo) -> None:
    if info.tensor_shape.unknown_rank:
        raise ServableError(f"{where} has an unknown rank; give it a shape with the batch first")
    if not info.tensor_shape.dim:
        raise ServableError(f"{where} is a scalar; TensorFlow Serving's batching needs the batch as first dimension")
    if info.tensor_shape.dim[0].size != -1:
        size = info.tensor_shape.dim[0].size
        raise ServableError(f"{where} has a fixed first dimension of {size}; it must be the batch, of any size")
    if info.dtype != capi.STRING and info.dtype not in capi.DTYPES:
        raise ServableError(f"{where} has the dtype {info.dtype}, which has no JSON form; cast it to float32")


def _check_method_outputs(key: str, signature: SignatureDef) -> None:
    allowed = METHOD_OUTPUTS[key]
    if not signature.outputs or not set(signature.outputs) <= set(allowed):
        raise ServableError(f"{key}: its outputs are {_names(signature.outputs)}, not {_names(allowed)}")
    for name, info in signature.outputs.items():
        dtype = capi.STRING if name == "classes" else capi.FLOAT
        if info.dtype != dtype or len(info.tensor_shape.dim) not in allowed[name]:
            raise ServableError(
                f"{key}: output '{name}' must be {'strings' if name == 'classes' else 'float32'} of rank "
                f"{' or '.join(map(str, allowed[name]))}"
            )


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def check_kernels(kernels: Mapping[str, str]) -> None:
    """{op: serialized KernelList in base64}; raises ServableError for an op that no CPU kernel runs."""
    for fault in kernel_faults(kernels):
        raise ServableError(fault)


def kernel_faults(kernels: Mapping[str, str]) -> Iterator[str]:
    """{op: serialized KernelList in base64} -> a line for each op that no CPU kernel runs."""
    from tensorflow.core.framework.kernel_def_pb2 import KernelList

    for op, encoded in kernels.items():
        devices = {kernel.device_type for kernel in KernelList.FromString(base64.b64decode(encoded)).kernel}
        # DEFAULT kernels run on any device.
        if not devices & {"CPU", "DEFAULT"}:
            yield f"op {op} has no CPU kernel in TensorFlow or tensorflow_text"


def batching_remarks(meta_graph: MetaGraphDef) -> Iterator[str]:
    """A line for each signature that a server can answer but not batch, as `--enable_batching` would."""
    for key, signature in sorted(meta_graph.signature_def.items()):
        if key.startswith("__"):
            continue
        for kind, tensors in (("input", signature.inputs), ("output", signature.outputs)):
            for name, info in sorted(tensors.items()):
                shape = info.tensor_shape
                if not shape.unknown_rank and (not shape.dim or shape.dim[0].size != -1):
                    yield f"{key}: {kind} '{name}' has no batch as first dimension; serve it without --enable_batching"


def describe_signatures(path: Path) -> dict[str, Any]:
    """{signature: {method, inputs, outputs}}; a tensor is its dtype and shape, -1 where any size goes."""
    import tensorflow as tf

    def describe(tensors):
        return {
            key: {
                "dtype": tf.dtypes.as_dtype(tensors[key].dtype).name,
                "shape": [dim.size for dim in tensors[key].tensor_shape.dim],
            }
            for key in sorted(tensors)
        }

    return {
        key: {
            "method": signature.method_name,
            "inputs": describe(signature.inputs),
            "outputs": describe(signature.outputs),
        }
        for key, signature in sorted(read_meta_graph(path).signature_def.items())
        if not key.startswith("__")
    }
