"""`export.formats: litert`: a model for LiteRT, with matrices in 8 bits that are read as they are.

Weights are int8 with a scale for each channel, and a batch's activations are made int8 as they come (dynamic range
quantization): the fast form for a CPU. The tokenizer stays in TensorFlow, as a SavedModel beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

FILE = "model.tflite"
THREADS = 1  # of a call: several calls are under way at a time


def write_litert(model: Any, folder: Path) -> None:
    """Converts a Keras model, features -> logits, and writes it.

    Args:
        model: float32.
        folder: exists.
    """
    import tensorflow as tf

    names = sorted(tensor.name for tensor in model.inputs)

    def logits(*features: Any) -> Any:
        return {"logits": model(dict(zip(names, features)), training=False)}

    specs = [tf.TensorSpec([None, None], tf.int32, name=name) for name in names]
    function = tf.function(logits, input_signature=specs, autograph=False).get_concrete_function()
    module: Any = tf.Module(name="weights")  # what the converter reads the values of variables from
    module.weights = [weight.value for weight in model.weights]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    (folder / FILE).write_bytes(converter.convert())


def open_file(file: Path) -> Callable[[], Callable[[Mapping[str, np.ndarray]], np.ndarray]]:
    """What gives each thread a model of its own, features of any batch and length -> logits. The file is read now."""
    content = file.read_bytes()  # another model may be put into its place later
    return lambda: _interpreted(content)


def _interpreted(content: bytes) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=THREADS)
    inputs = {_name(details): details for details in interpreter.get_input_details()}
    output = interpreter.get_output_details()[0]["index"]

    def logits(features: Mapping[str, np.ndarray]) -> np.ndarray:
        for name, details in inputs.items():
            interpreter.resize_tensor_input(details["index"], features[name].shape)
        interpreter.allocate_tensors()
        for name, details in inputs.items():
            interpreter.set_tensor(details["index"], features[name].astype(details["dtype"]))
        interpreter.invoke()
        return np.array(interpreter.get_tensor(output))

    return logits


def _name(details: Mapping[str, Any]) -> str:
    """`serving_default_token_ids:0` -> `token_ids`."""
    return details["name"].split(":")[0].removeprefix("serving_default_")
