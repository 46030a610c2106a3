"""`export.formats: onnx`: a model for ONNX Runtime, in float32.

The graph is tf2onnx's conversion of the Keras model, features -> logits. The tokenizer stays in TensorFlow, as a
SavedModel beside it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.errors import UserError
from kerasft.invocation import install_command

FILE = "model.onnx"
OPSET = 17  # LayerNormalization is of it; ONNX Runtime reads it since 1.12
THREADS = 1  # of a call: several calls are under way at a time
CONVERTER, RUNTIME = ("tf2onnx", "onnx", "onnxruntime"), ("onnxruntime",)


def check_installed(key: str, packages: tuple[str, ...] = CONVERTER) -> None:
    """Raises UserError with the line that installs what is missing.

    Args:
        key: of the config, or what of the command needs it.
        packages: that are needed.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"{key}: needs the package {package}, which is not installed; {install_command('onnx')}")


def write_onnx(model: Any, folder: Path) -> None:
    """Converts a Keras model, features -> logits, and writes it.

    Args:
        model: float32.
        folder: exists.
    """
    import tensorflow as tf

    tf2onnx: Any = importlib.import_module("tf2onnx")  # of an extra, which may not be here
    names = sorted(tensor.name for tensor in model.inputs)

    def logits(*features: Any) -> Any:
        return {"logits": model(dict(zip(names, features)), training=False)}

    specs = [tf.TensorSpec([None, None], tf.int32, name=name) for name in names]
    function = tf.function(logits, input_signature=specs, autograph=False)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)  # it tells each step
    handlers = {"Erfc": (_write_erfc, [])}
    tf2onnx.convert.from_function(
        function, specs, opset=OPSET, custom_op_handlers=handlers, output_path=str(folder / FILE)
    )


def _write_erfc(graph: Any, node: Any, name: str, args: Any) -> None:
    """erfc, which ONNX has not, by erf. TensorFlow's exact GELU is 0.5 x erfc(-x c) since 2.20.

    It is written as 0.5 x (1 + erf(x / (1 / c))), which ONNX Runtime knows and computes in one pass.
    """
    scaled, one = node.inputs[0], graph.make_const(f"{name}_one", np.ones((), np.float32)).output[0]
    output, shape, kind = node.output[0], graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
    gelu = scaled.type == "Mul" and scaled.inputs[0].type == "Neg" and scaled.inputs[1].is_const()
    if gelu:
        factor = graph.make_const(f"{name}_divisor", np.float32(1.0) / scaled.inputs[1].get_tensor_value(as_list=False))
        value = graph.make_node("Div", [scaled.inputs[0].input[0], factor.output[0]]).output[0]
    else:
        value = scaled.output[0]
    erf = graph.make_node("Erf", [value]).output[0]
    graph.remove_node(node.name)
    graph.make_node("Add" if gelu else "Sub", [one, erf], outputs=[output], shapes=[shape], dtypes=[kind])


def open_file(file: Path) -> Callable[[], Callable[[Mapping[str, np.ndarray]], np.ndarray]]:
    """What gives each thread a model, features of any batch and length -> logits. The file is read now.

    Raises:
        UserError: ONNX Runtime is not installed.
    """
    check_installed(str(file), RUNTIME)
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # cores are shared with other calls
    session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def logits(features: Mapping[str, np.ndarray]) -> np.ndarray:
        values = {name: np.asarray(features[name], np.int32) for name in names}
        return np.asarray(session.run(None, values)[0])

    return lambda: logits  # a session takes several calls at a time
