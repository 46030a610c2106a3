"""One version of a model in memory, held as TensorFlow Serving holds it: a session on the graph tagged `serve`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the tokenizers' ops
from grpc import StatusCode

from kerasft.errors import ServableError
from kerasft.serving.outside_ops import check_trusted
from kerasft.serving.servable_graph import NO_PYTHON, REFUSED_OPS, batching_remarks, op_faults, read_meta_graph
from kerasft.serving.status import BY_NUMBER, ServingError, invalid

if TYPE_CHECKING:
    from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

Arrays = dict[str, np.ndarray]
DEFAULT_SIGNATURE = "serving_default"
VALUE_BYTES = 16  # about those of a value's text


class Engine(Protocol):
    """What answers in the place of a session."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """All inputs of `serving_default` -> all its outputs. Raises ServingError."""
        ...


class LoadedModel:
    """A SavedModel that answers.

    Args:
        folder: a version folder.
        trust: the user vouches for it: it may reach files, networks and processes.

    Raises:
        ServableError: TensorFlow Serving would not load it either, or nobody vouches for it; the message says why.

    Attributes:
        signatures: those a client can name.
        unbatchable: of these, the ones of which requests are not put together.
        engine: answers `serving_default` instead of the session; None: nothing does.
    """

    def __init__(self, folder: Path, trust: bool = False):
        meta_graph = read_meta_graph(folder)
        # What the wheel would run and TensorFlow Serving would not. Tables that grow are no reason for either.
        for fault in op_faults(meta_graph, {op: reason for op, reason in REFUSED_OPS.items() if reason is NO_PYTHON}):
            raise ServableError(fault)
        check_trusted(folder, trust)
        self.signatures: Mapping[str, SignatureDef] = {
            key: value for key, value in sorted(meta_graph.signature_def.items()) if not key.startswith("__")
        }
        self.unbatchable = {remark.partition(":")[0] for remark in batching_remarks(meta_graph)}
        self.engine: Engine | None = None
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with self._session.graph.as_default():
                tf.compat.v1.saved_model.loader.load(self._session, ["serve"], str(folder))
            self._calls = {key: self._call(signature) for key, signature in self.signatures.items()}
        except (tf.errors.OpError, OSError, ValueError, KeyError, RuntimeError) as error:
            self._session.close()
            raise ServableError(f"TensorFlow cannot load it: {first_line(str(error))}") from error

    def _call(self, signature: SignatureDef):
        fetches = [signature.outputs[name].name for name in sorted(signature.outputs)]
        return self._session.make_callable(fetches, [info.name for info in signature.inputs.values()])

    def run(self, key: str, inputs: Mapping[str, np.ndarray], seconds: float | None = None) -> Arrays:
        """All inputs of a signature -> all its outputs; strings are byte strings in object arrays.

        Args:
            key: of the signature.
            inputs: name -> array of the signature's type and rank.
            seconds: after which it is stopped; None: never. An engine is not.

        Raises:
            ServingError: with TensorFlow's own code and message; DEADLINE_EXCEEDED where it was stopped.
        """
        signature = self.signatures[key]
        if self.engine is not None and key == DEFAULT_SIGNATURE:
            answers = self.engine.run(inputs)
            return {name: answers[name] for name in sorted(signature.outputs)}
        options = None
        if seconds is not None:
            options = tf.compat.v1.RunOptions(timeout_in_ms=max(1, int(seconds * 1000)))
        try:
            values = self._calls[key](*(inputs[name] for name in signature.inputs), options=options)
        except tf.errors.OpError as error:
            code = BY_NUMBER.get(error.error_code, StatusCode.UNKNOWN)
            raise ServingError(code, first_line(error.message)) from None
        except UnicodeDecodeError:  # TensorFlow's reason quotes bytes of the request, which Python cannot read
            raise invalid("the model refuses an input that is not UTF-8") from None
        return dict(zip(sorted(signature.outputs), map(np.asarray, values), strict=True))

    def close(self) -> None:
        """Gives back what the session holds; no call may be under way."""
        self._session.close()
        self._calls, self.engine = {}, None


def rows_of(inputs: Mapping[str, np.ndarray]) -> int:
    """The size of the first dimension, 1 where there is none."""
    return max((len(array) if array.ndim else 1 for array in inputs.values()), default=1)


def bytes_of(inputs: Mapping[str, np.ndarray]) -> int:
    """What the values take, strings by their length."""
    return sum(sum(map(len, array.ravel())) if array.dtype == object else array.nbytes for array in inputs.values())


def size_of(arrays: Mapping[str, np.ndarray]) -> int:
    """About the bytes of their text form, without a look at any of them."""
    return sum(array.size for array in arrays.values()) * VALUE_BYTES


def concatenate(parts: Sequence[Mapping[str, np.ndarray]]) -> Arrays:
    """Inputs of several requests -> those of one batch."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def first_line(message: str) -> str:
    """TensorFlow's reason, without what a request had in it."""
    # What follows is about nodes of the graph, not about the request; what is called a value is the request's own.
    lines = [line for line in message.strip().splitlines() if line and line != "Graph execution error:"]
    return (lines or ["no reason given"])[0].partition(", value: ")[0]
