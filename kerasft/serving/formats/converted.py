"""A folder with a converted model: its file, the preprocessor as a SavedModel, and the facts that answers need.

litert/model.tflite  preprocessor/saved_model.pb  kerasft.json
onnx/model.onnx      preprocessor/saved_model.pb  kerasft.json
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.serving.formats import litert, onnx
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

FACTS, PREPROCESSOR = "kerasft.json", "preprocessor"
Run = Callable[[Mapping[str, np.ndarray]], np.ndarray]  # features -> logits
# File -> what reads it, and gives what makes a model for each thread.
FILES: dict[str, Callable[[Path], Callable[[], Run]]] = {litert.FILE: litert.open_file, onnx.FILE: onnx.open_file}


def is_converted(folder: Path) -> bool:
    """Whether a folder holds such a model."""
    return any((folder / name).is_file() for name in FILES)


@dataclass(frozen=True)
class ConvertedExport:
    """Such a folder, not loaded yet.

    Attributes:
        folder: of the model.
        task: that it answers.
        facts: of its kerasft.json.
    """

    folder: Path
    task: Task
    facts: Mapping[str, Any]

    @property
    def config(self) -> Config:
        return self.task.config

    @classmethod
    def open(cls, folder: Path) -> ConvertedExport:
        """Raises UserError where the folder was not written by kerasft."""
        file = folder / FACTS
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
            config = Config.model_validate(facts["config"])
        except (OSError, ValueError, KeyError, ValidationError) as error:
            reason = type(error).__name__
            raise UserError(f"{file}: not an export of kerasft ({reason}); export the run again") from error
        return cls(folder, create_task(config, facts["state"]), facts)

    def load(self) -> Converted:
        """The model, ready to answer."""
        import tensorflow as tf
        import tensorflow_text  # noqa: F401  registers the tokenizers' ops

        from kerasft.serving.outside_ops import check_trusted

        check_trusted(self.folder / PREPROCESSOR)
        preprocessor = tf.saved_model.load(str(self.folder / PREPROCESSOR))
        name = next(name for name in FILES if (self.folder / name).is_file())
        return Converted(self.task, preprocessor, FILES[name](self.folder / name))


class Converted:
    """Strings -> answers: the preprocessor in TensorFlow, the model in another runtime, the task's decoder.

    Args:
        task: with its state.
        preprocessor: the loaded SavedModel of one.
        make_run: gives the model; it is called once in each thread.
    """

    def __init__(self, task: Task, preprocessor: Any, make_run: Callable[[], Run]):
        import tensorflow as tf

        self.task, self._preprocessor, self._make_run = task, preprocessor, make_run
        self._of_thread = threading.local()
        self._decode = tf.function(_decoder(task), autograph=False, reduce_retracing=True)

    def answer(self, columns: Mapping[str, Sequence[str] | Sequence[bytes]]) -> dict[str, np.ndarray]:
        """String columns -> what the task answers, as NumPy arrays."""
        import tensorflow as tf

        features = self._features(columns)
        logits = self._run()({name: value.numpy() for name, value in features.items()})
        return {name: value.numpy() for name, value in self._decode(tf.constant(logits), features).items()}

    def lengths(self, columns: Mapping[str, list[str]]) -> np.ndarray:
        """(rows,) characters of each row: rows of like length share a batch."""
        return np.array([sum(map(len, row)) for row in zip(*(columns[name] for name in self.task.inputs))])

    def _features(self, columns: Mapping[str, Sequence[str] | Sequence[bytes]]) -> Any:
        import tensorflow as tf

        texts = {name: tf.constant(list(columns[name]), tf.string) for name in self.task.inputs}
        return self._preprocessor.signatures["serving_default"](**texts)

    def _run(self) -> Run:
        if not hasattr(self._of_thread, "run"):
            self._of_thread.run = self._make_run()
        return self._of_thread.run


def _decoder(task: Task) -> Callable[[Any, Any], dict[str, Any]]:
    """Logits and features -> what the task answers."""
    return lambda logits, features: task.answer(_Model(logits), features)


class _Model:
    """What a task takes for a Keras model: it names its inputs, and gives the logits when it is called."""

    input = {name: None for name in ("token_ids", "padding_mask", "segment_ids")}

    def __init__(self, logits: Any):
        self._logits = logits

    def __call__(self, features: Mapping[str, Any], training: bool = False) -> Any:
        return self._logits
