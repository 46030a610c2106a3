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
    tf2onnx.convert.from_function(function, specs, opset=OPSET, output_path=str(folder / FILE))


def open_file(file: Path) -> Callable[[], Callable[[Mapping[str, np.ndarray]], np.ndarray]]:
    """What gives each thread a model, features of any batch and length -> logits. The file is read now.

    Raises:
        UserError: ONNX Runtime is not installed.
    """
    check_installed(str(file), RUNTIME)
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def logits(features: Mapping[str, np.ndarray]) -> np.ndarray:
        values = {name: np.asarray(features[name], np.int32) for name in names}
        return np.asarray(session.run(None, values)[0])

    return lambda: logits  # a session takes several calls at a time
