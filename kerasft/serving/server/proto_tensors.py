"""Tensors in the messages of the gRPC API -> arrays, checked before they are made, and back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from kerasft.serving.status import ServingError, invalid

if TYPE_CHECKING:
    from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo

MOST_DIMENSIONS = 8
# Where a message keeps values of a dtype. TensorFlow Serving fills these fields, not tensor_content, and clients read
# them by name.
FIELDS = {
    tf.float32: "float_val", tf.float64: "double_val", tf.int64: "int64_val", tf.bool: "bool_val",
    tf.string: "string_val", tf.uint32: "uint32_val", tf.uint64: "uint64_val",
} | dict.fromkeys((tf.int32, tf.int16, tf.int8, tf.uint16, tf.uint8), "int_val")  # fmt: skip


def to_array(name: str, tensor: TensorProto, info: TensorInfo, most: int, most_values: int) -> np.ndarray:
    """One input of a request -> its values.

    Args:
        name: of the input.
        tensor: as the client sent it.
        info: the signature's word on it.
        most: elements that a tensor may have which one value fills; a message of a few bytes can claim any shape.
        most_values: elements of one whose values stand in the message one by one, not as bytes.

    Raises:
        ServingError: another dtype or shape, or the values do not fill it.
    """
    if tensor.dtype != info.dtype:
        actual, expected = (_dtype_name(dtype) for dtype in (tensor.dtype, info.dtype))
        raise invalid(f"input '{name}' is of type {actual}; expected {expected}")
    if tensor.tensor_shape.unknown_rank:
        raise invalid(f"input '{name}' has no shape")
    if len(tensor.tensor_shape.dim) > MOST_DIMENSIONS:
        raise invalid(f"input '{name}' has {len(tensor.tensor_shape.dim)} dimensions")
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    check_shape(name, shape, info)
    size = math.prod(shape)
    if size > max(most, tensor.ByteSize()):
        raise _unfilled(name, shape)
    if not tensor.tensor_content:
        if size > most_values:
            raise invalid(f"input '{name}' has {size} values; this server takes {most_values} at most")
        if _values_of(tensor) > size:
            raise _unfilled(name, shape)
    try:
        array = tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise _unfilled(name, shape) from error
    return np.asarray(array, object) if tensor.dtype == tf.string.as_datatype_enum else array


def _values_of(tensor: TensorProto) -> int:
    field = FIELDS.get(tf.dtypes.as_dtype(tensor.dtype))
    return len(getattr(tensor, field)) if field else 0


def _unfilled(name: str, shape: tuple[int, ...]) -> ServingError:
    return invalid(f"input '{name}': its values do not fill the shape {list(shape)}")


def check_shape(name: str, shape: tuple[int, ...], info: TensorInfo) -> None:
    """Raises ServingError where a signature's input cannot have the shape."""
    if info.tensor_shape.unknown_rank:
        return
    expected = [dim.size for dim in info.tensor_shape.dim]
    if len(shape) != len(expected) or any(want not in (-1, size) for size, want in zip(shape, expected)):
        raise invalid(f"input '{name}' has the shape {list(shape)}; expected {expected}, where -1 is any size")
    if any(size < 0 for size in shape):
        raise invalid(f"input '{name}' has the shape {list(shape)}")


def _dtype_name(dtype: int) -> str:
    try:
        return tf.dtypes.as_dtype(dtype).name
    except TypeError:
        return str(dtype)


def to_message(array: np.ndarray, info: TensorInfo) -> TensorProto:
    """One output -> its message."""
    dtype = tf.dtypes.as_dtype(info.dtype)
    if dtype not in FIELDS:
        return tf.make_tensor_proto(array, dtype)
    message = TensorProto(dtype=info.dtype)
    for size in array.shape:
        message.tensor_shape.dim.add(size=size)
    getattr(message, FIELDS[dtype]).extend(array.ravel().tolist())
    return message
