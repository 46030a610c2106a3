"""Requests that TensorFlow Serving answers while it loads a model, so that no user waits for the first ones.

Their file is `assets.extra/tf_serving_warmup_requests`: a TFRecord of PredictionLog messages, at most 1,000. One that
fails makes the server refuse the version, so each is run here first, from the bytes of the file.
(https://www.tensorflow.org/tfx/serving/saved_model_warmup; `saved_model_warmup_util.cc` of tensorflow/serving.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.errors import ServableError
from kerasft.serving import capi
from kerasft.serving.servable_check import check_loaded
from kerasft.serving.servable_graph import METHODS

if TYPE_CHECKING:
    from tensorflow.core.framework.tensor_pb2 import TensorProto
    from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MOST_RECORDS = 1000


def request(name: str, key: str, columns: Mapping[str, Sequence[bytes] | np.ndarray]) -> PredictionLog:
    """One request as the server logs it: Predict, or Classify or Regress for the signatures of those names.

    Args:
        name: what the model is served as.
        key: of the signature.
        columns: {column: (rows,) byte strings, or an array of numbers}.
    """
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    log = PredictionLog()
    if key in METHODS:
        proto = (log.classify_log if key == "classify" else log.regress_log).request
        for values in zip(*columns.values(), strict=True):
            features = proto.input.example_list.examples.add().features
            for column, value in zip(columns, values, strict=True):
                features.feature[column].bytes_list.value.append(value)
    else:
        proto = log.predict_log.request
        for column, values in columns.items():
            content = values if isinstance(values, np.ndarray) else list(values)
            proto.inputs[column].CopyFrom(tf.make_tensor_proto(content, None if content is values else tf.string))
    proto.model_spec.name = name
    proto.model_spec.signature_name = key
    return log


def write(saved_model: Path, logs: Sequence[PredictionLog]) -> None:
    """Writes the warm-up file; at most 1,000 records, or the server refuses it."""
    import tensorflow as tf

    if len(logs) > MOST_RECORDS:
        raise ValueError(f"{len(logs)} warm-up records; TensorFlow Serving takes {MOST_RECORDS} at most")
    path = saved_model / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString(deterministic=True))


def read(saved_model: Path) -> list[PredictionLog]:
    """The records of a SavedModel's warm-up file, none where it has no such file.

    Raises:
        ServableError: TensorFlow Serving could not read it, or would refuse the number of records.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = saved_model / FILE
    if not path.exists():
        return []
    logs = []
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            logs.append(PredictionLog.FromString(record.numpy()))
    except tf.errors.DataLossError as error:
        raise ServableError(f"{FILE}: record {len(logs) + 1} is not a TFRecord: {error.message}") from error
    except DecodeError as error:
        raise ServableError(f"{FILE}: record {len(logs) + 1} is not a PredictionLog") from error
    if len(logs) > MOST_RECORDS:
        raise ServableError(f"{FILE}: {len(logs)} records; TensorFlow Serving takes {MOST_RECORDS} at most")
    return logs


def record_run(meta_graph: MetaGraphDef, log: PredictionLog) -> dict[str, Any]:
    """A record -> the tensors that the server would feed and fetch, as `capi.py` takes them.

    Raises:
        ServableError: the record asks for what the model or this check does not have.
    """
    kind = log.WhichOneof("log_type")
    if kind not in ("predict_log", "classify_log", "regress_log"):
        raise ServableError(f"{FILE}: a {kind or 'record without a request'} cannot be run by this check")
    request = getattr(log, kind).request
    key = request.model_spec.signature_name or "serving_default"
    if key not in meta_graph.signature_def:
        raise ServableError(f"{FILE}: a record asks for the signature {key}, which the model does not have")
    signature = meta_graph.signature_def[key]
    if kind == "predict_log":
        columns = {name: _values(name, tensor) for name, tensor in request.inputs.items()}
    else:
        examples = request.input.example_list.examples
        columns = {"inputs": [example.SerializeToString(deterministic=True) for example in examples]}
    if set(columns) != set(signature.inputs):
        actual, expected = (", ".join(sorted(names)) or "none" for names in (columns, signature.inputs))
        raise ServableError(f"{FILE}: a record for {key} has the inputs {actual}, not {expected}")
    return {
        "inputs": {signature.inputs[name].name: capi.feed(rows) for name, rows in columns.items()},
        "outputs": {name: info.name for name, info in signature.outputs.items()},
    }


def _values(name: str, tensor: TensorProto) -> list[bytes] | np.ndarray:
    import tensorflow as tf

    try:
        values = tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise ServableError(f"{FILE}: input '{name}' of a record is no tensor: {error}") from error
    if tensor.dtype not in (capi.STRING, *capi.DTYPES) or values.ndim != 1:
        raise ServableError(
            f"{FILE}: input '{name}' of a record is not (batch,) strings or numbers, all that this check can feed"
        )
    return values.tolist() if tensor.dtype == capi.STRING else values


def check_reply(reply: Mapping[str, Any]) -> None:
    """Raises ServableError where the SavedModel did not load, or one of the warm-up requests failed."""
    check_loaded(reply)
    for number, run in enumerate(reply["runs"], 1):
        if "error" in run:
            raise ServableError(f"{FILE}: record {number} fails, so no server would load this version: {run['error']}")
