"""The contract between a task and the rest of the program."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.quoting import quoted
from kerasft.tasks.base.comparable import Comparable
from kerasft.tasks.base.declarations import Column, Number, Unreachable

if TYPE_CHECKING:  # a config or data error must be found without waiting for TensorFlow
    import keras
    import pyarrow as pa
    import tensorflow as tf

    from kerasft.data.prepared.prepared import Prepared
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table


DECODED_AT_ONCE = 256  # rows


class Task(Comparable, abc.ABC):
    """What one task adds to a backbone.

    A task is the only place that knows how a row becomes features, what head sits on the backbone,
    what is minimised, what is measured, and how logits become an answer. Modules of tasks import
    without TensorFlow; methods that build graphs import it.

    Args:
        config: the whole resolved config.
        state: what the task learnt from data (label names, thresholds), JSON-able; it is saved with the model.
    """

    columns: tuple[Column, ...]
    headline: str  # the metric that chooses the best checkpoint, a key of `metrics`
    rising: tuple[str, ...]  # metrics a run can be chosen by, where more is better
    falling: tuple[str, ...]  # and where less is better
    needs_training = True  # whether `build` adds weights that mean nothing before training
    measures_answers = False  # whether `answer_metrics` has figures, which take rows of `predictions`
    writes = False  # whether an answer takes many calls of the model: then no text waits for the answers to others
    encoder_decoder = False  # whether the model has a decoder that reads what an encoder gives
    separable = True  # whether the loss of a batch is the sum of its rows' own
    embeds = False  # whether `decode` answers unit vectors, `embedding`, that an index can be searched by

    def __init__(self, config: Config, state: Mapping[str, Any] | None = None):
        self.config = config
        self.state: dict[str, Any] = dict(state or {})

    @property
    def kind(self) -> str:
        """Which sections the report and which table the terminal has; see `evaluation/report/sections.py`."""
        return self.config.task.name

    @property
    @abc.abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """Names of the string columns that an answer needs: the inputs of the served model."""

    @property
    def positions(self) -> int:
        """Tokens of the longest text that the model reads."""
        return self.config.model.max_length

    @property
    def limits(self) -> dict[str, tuple[str, int]]:
        """Name of each of the `sides` of a prepared split -> the key that limits its texts, and to how many tokens."""
        return {"texts": ("model.max_length", self.config.model.max_length)}

    def check_config(self) -> None:
        """Raises UserError for a key that this task can't honour, before any data is read."""
        architecture = self.config.model.architecture
        if architecture is not None and (architecture.family == "bart") != self.encoder_decoder:
            name, family = self.config.task.name, architecture.family
            fix = "set it to bart" if self.encoder_decoder else "set it to bert or gpt2, or task.name to seq2seq"
            raise UserError(f"model.architecture.family: {name} does not start from a {family}; {fix}")
        stopping = self.config.training.early_stopping
        if stopping and stopping.metric not in self.rising + self.falling:
            known = ", ".join(self.rising + self.falling)
            raise UserError(
                f"training.early_stopping.metric: {quoted(stopping.metric)} is not measured; there are: {known}"
            )

    # Rows: plain Python, no TensorFlow.
    @abc.abstractmethod
    def schema(self) -> pa.Schema:
        """The Arrow schema of one parsed row."""

    @abc.abstractmethod
    def parse(self, record: Record) -> dict[str, Any]:
        """One source record -> one row of `schema`. Raises UserError with the record's place."""

    @abc.abstractmethod
    def parse_inputs(self, record: Record) -> dict[str, str]:
        """One record without a target -> `inputs`; a column may also bear the name of its role."""

    @property
    def numbers(self) -> Mapping[str, Mapping[str, Number]]:
        """Signatures of the served model beside its usual ones, and what they take besides `inputs`."""
        return {}

    @abc.abstractmethod
    def fit(self, splits: Mapping[str, Table]) -> None:
        """Learns `state` from the splits and checks them against each other. Raises UserError."""

    def check_targets(self, splits: Mapping[str, Table]) -> None:
        """Raises UserError where a split has a target that `state` does not know."""

    def data_warnings(self) -> list[str]:
        """What is odd about the names that were learnt, before training; a sentence each."""
        return []

    def unreachable(self, split: Prepared) -> Unreachable | None:
        """How many true answers of a prepared split no answer can equal; None where the task has no such."""
        return None

    def stratify(self, table: Table) -> np.ndarray | None:
        """(rows,) group of each row for the stratified validation share; None: a plain share."""
        return None

    @abc.abstractmethod
    def targets(self, table: Table) -> np.ndarray:
        """(rows, ...) what the loss compares logits with."""

    def weights(self, targets: np.ndarray) -> np.ndarray:
        """(rows,) float32 weight of each training row in the loss."""
        return np.ones(len(targets), np.float32)

    def prepare(self, table: Table, preprocessor: Any, weighted: bool = False) -> Prepared:
        """A table as the model reads it; `weighted` in training."""
        from kerasft.data.prepared.prepared import prepare

        targets = self.targets(table)
        weights = self.weights(targets) if weighted else np.ones(len(targets), np.float32)
        return prepare(table, preprocessor, targets, weights)

    def features_made_from(self, weighted: bool = False) -> dict[str, Any]:
        """All that `prepare` reads beside the table, the model and its tokenizer, JSON-able: a cache is asked by it."""
        config = self.config
        return {
            "task": config.task.model_dump(mode="json"),
            "state": self.state,
            "max_length": config.model.max_length,
            "columns": config.data.columns,
            "class_weights": config.training.class_weights if weighted else None,
            "weighted": weighted,
        }

    # Graphs.
    def adapt(self, backbone: keras.Model, tokenizer: Any) -> tuple[keras.Model, Any]:
        """Changes to a pre-trained model before a head goes on it, such as tokens of the task's own.

        Called once, before training; what it leaves in `state` is saved with the model.
        """
        return backbone, tokenizer

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        """The object that turns `inputs` into features, in `prepare` and in the SavedModel alike."""
        from kerasft.models.preprocessing.preprocessor import text_preprocessor

        return text_preprocessor(backbone, tokenizer, self.config.model.max_length, self.inputs)

    @abc.abstractmethod
    def build(self, backbone: keras.Model) -> keras.Model:
        """Backbone -> plain Keras model: features -> logits."""

    def load_head(self, model: keras.Model, preset: str) -> None:
        """Gives the head of a new model the weights that its preset has for it, where a task knows of such.

        Args:
            model: what `build` returned.
            preset: resolved; see `kerasft.models.presets.presets`.
        """

    @abc.abstractmethod
    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """(batch, ...), (batch, ...) -> (batch,) loss of each example."""

    def loss_sum(self, targets: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """The weighted sum of this replica's losses; a weight of 0 is a row that only fills the batch up.

        For tasks whose examples are compared with each other: their losses are no function of one example.
        """
        import tensorflow as tf

        return tf.reduce_sum(self.loss(targets, logits) * weights)

    def condense(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """In graph: what an evaluation keeps of a batch's logits and calls logits from then on; all by default.

        For tasks whose logits are as wide as a vocabulary: those of a split would fill the memory.
        """
        return logits

    def decode(self, logits: tf.Tensor, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """In graph: logits -> answers, every tensor of rank >= 1 with the batch first.

        A task whose answer takes more than one call of the model overrides `answer` and `predictions` instead.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither decode nor answer and predictions of its own")

    def answer(self, model: keras.Model, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """In graph: what the preprocessor gave -> answers, as `decode` has them."""
        return self.decode(model(features, training=False), features)

    def answer_with(
        self, model: keras.Model, features: Mapping[str, tf.Tensor], numbers: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """In graph: `answer` by the (batch,) numbers of a request, for tasks that have some."""
        raise NotImplementedError(f"{type(self).__name__} has no numbers")

    def tf_serving_signatures(self, answers: Mapping[str, tf.Tensor]) -> dict[str, dict[str, tf.Tensor]]:
        """Answers as TensorFlow Serving's `classify` or `regress` outputs, where they have that form."""
        return {}

    def sample(self) -> dict[str, str]:
        """`inputs` such as a user would send, for the commands that an export shows."""
        texts = {"text": "a text to ask about", "text_pair": "and the other one"}
        return {name: texts[name] for name in self.inputs}

    def probes(self, inputs: Mapping[str, list[bytes]]) -> dict[str, list[bytes]]:
        """Texts that break servers -> the rows that an export is checked on."""
        return dict(inputs)

    # Evaluation: NumPy.
    def tune(self, split: Prepared, logits: np.ndarray) -> None:
        """Chooses decision thresholds on the validation split and keeps them in `state`."""

    @abc.abstractmethod
    def metrics(self, split: Prepared, logits: np.ndarray) -> dict[str, Any]:
        """A whole split and its logits -> JSON-able metrics, `headline` among them."""

    @abc.abstractmethod
    def interval(self, split: Prepared, logits: np.ndarray) -> dict[str, Any]:
        """The headline figure's confidence interval: {metric, low, high, level, ...}."""

    def predictions(self, table: Table, split: Prepared, logits: np.ndarray) -> Iterator[dict[str, Any]]:
        """One JSON-able row an example: its texts, the truth, the answer."""
        for chosen, targets, outputs in self._decoded_rows(split, logits):
            for row, target, answer in zip(table.rows(chosen), targets, self.rows(outputs)):
                yield {name: row[name] for name in self.inputs} | {"truth": self.truth(target)} | answer

    def _decoded_rows(
        self, split: Prepared, logits: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
        """Indices of some rows at a time, their targets, and what `decode` answers."""
        import tensorflow as tf

        for start in range(0, len(split), DECODED_AT_ONCE):
            chosen = np.arange(start, min(start + DECODED_AT_ONCE, len(split)))
            features, targets, _ = split.batch(chosen)
            outputs = self.decode(tf.constant(logits[chosen]), features)
            yield chosen, targets, {name: value.numpy() for name, value in outputs.items()}

    def watched(self, split: Prepared, logits: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """Answers to a split by the names of the served model's outputs, those whose distribution a server watches.

        None where answers are vectors or free text: of these tasks only the texts are watched.
        """
        yield from ()

    def answer_metrics(self, answers: list[dict[str, Any]]) -> dict[str, Any]:
        """Rows of `predictions` -> JSON-able metrics of answers that took long to make, of a finished model alone."""
        return {}

    @abc.abstractmethod
    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        """What `decode` gave, as NumPy arrays -> one JSON-able answer a row, for `predict` and predictions/."""

    @abc.abstractmethod
    def truth(self, target: np.ndarray) -> Any:
        """One row of `targets` -> what stands beside its answer in predictions/."""

    # The report.
    def class_counts(self, split: Prepared) -> dict[str, int]:
        """Rows of each class, where the task has classes."""
        return {}

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows of predictions/ -> {text, text_pair?, truth, prediction, score}, the most confidently wrong first."""
        return []

    def points(self, answers: list[dict[str, Any]]) -> list[tuple[float, float]]:
        """Rows of predictions/ -> (truth, prediction), where both are numbers."""
        return []
