"""Text classification: a text, or a pair of texts, gets a label, several labels or a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.config.tasks import TextClassificationConfig
from kerasft.tasks.base import OPTIONAL, Task
from kerasft.tasks.problems import create_problem
from kerasft.tasks.problems.labels import classify_outputs, grow_labels, shortened
from kerasft.tasks.text_classification import rows
from kerasft.tasks.text_classification.kind import KINDS

if TYPE_CHECKING:
    import keras
    import pyarrow as pa
    import tensorflow as tf

    from kerasft.data.prepared.prepared import Prepared
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table


class TextClassification(Task[TextClassificationConfig, "Prepared"]):
    """The task by the contract; what depends on the kind of label is in `tasks/problems`."""

    section_class = TextClassificationConfig
    peft_type = "SEQ_CLS"
    columns = rows.COLUMNS
    honours = OPTIONAL

    def __init__(self, config: Config, state: Mapping[str, Any] | None = None):
        super().__init__(config, state)
        self.problem = create_problem(config, self.section, self.state)
        self.kind = KINDS[self.section.problem]
        self.inputs = rows.inputs_of(config.data.columns)
        self.headline = self.problem.headline
        self.rising, self.falling = self.problem.rising, self.problem.falling
        self.one_of_many = self.problem.one_of_many

    @property
    def fixed_labels(self) -> tuple[str, ...]:
        return tuple(self.section.labels or ())

    def schema(self) -> pa.Schema:
        return rows.schema(self.inputs, self.problem.arrow)

    def parse(self, record: Record) -> dict[str, Any]:
        columns = self.config.data.columns
        label = self.problem.parse(record.get(columns["label"], "label"), record.where)
        return {**rows.read_texts(record, columns, self.inputs), "label": label, "where": record.where}

    def parse_inputs(self, record: Record) -> dict[str, str]:
        columns = rows.given_columns(record, self.config.data.columns, self.inputs)
        return rows.read_texts(record, columns, self.inputs)

    def fit(self, splits: Mapping[str, Table]) -> None:
        self.problem.fit(splits)

    def check_targets(self, splits: Mapping[str, Table]) -> None:
        self.problem.check_targets(splits)

    def grown_labels(self, old: Sequence[str], train: Table, where: str) -> list[str]:
        return grow_labels(self.section.labels, old, set(train.column("label")), where)

    def data_warnings(self) -> list[str]:
        return self.problem.data_warnings()

    def stratify(self, table: Table) -> np.ndarray | None:
        return self.problem.groups(table)

    def targets(self, table: Table) -> np.ndarray:
        return self.problem.targets(table)

    def weights(self, targets: np.ndarray) -> np.ndarray:
        return self.problem.weights(targets)

    def build(self, backbone: keras.Model) -> keras.Model:
        from kerasft.models.heads.text_classifier import RandomFeatures, build_classifier

        count, dropout = self.section.random_features, self.config.model.dropout
        features = None if count is None else RandomFeatures(count, self.config.seed)
        return build_classifier(backbone, self.problem.outputs(), self.section.pooling, dropout, features)

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return self.problem.loss(targets, logits)

    def divergence(self, targets: tf.Tensor, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        return self.problem.divergence(one, other)

    def decode(self, logits: tf.Tensor, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        answer = self.problem.decode(logits)
        if "probabilities" not in answer:
            return answer
        return shortened(answer, self.state["labels"], self.section.top)

    def tf_serving_signatures(self, answers: Mapping[str, tf.Tensor]) -> dict[str, dict[str, tf.Tensor]]:
        if "value" in answers:
            return {"regress": {"outputs": answers["value"][:, None]}}  # (batch,) -> (batch, 1)
        return {"classify": classify_outputs(answers, self.state["labels"])}

    def tune(self, split: Prepared, logits: np.ndarray) -> None:
        self.problem.tune(split.targets, logits)

    def metrics(self, split: Prepared, logits: np.ndarray) -> dict[str, Any]:
        return self.problem.metrics(split.targets, logits)

    def interval(self, split: Prepared, logits: np.ndarray) -> dict[str, Any]:
        return {"metric": self.headline} | self.problem.interval(split.targets, logits)

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        return self.problem.rows(outputs)

    def watched(self, split: Prepared, logits: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        return (outputs for _, _, outputs in self._decoded_rows(split, logits))

    def truth(self, target: np.ndarray) -> Any:
        return self.problem.truth(target)

    def class_counts(self, split: Prepared) -> dict[str, int]:
        return self.problem.class_counts(split.targets)

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        judged = [(row, self.problem.mistake(row)) for row in answers]
        wrong = sorted(((row, mistake) for row, mistake in judged if mistake), key=lambda pair: -pair[1]["score"])
        return [{name: row[name] for name in (*self.inputs, "truth")} | mistake for row, mistake in wrong]

    def points(self, answers: list[dict[str, Any]]) -> list[tuple[float, float]]:
        return [(row["truth"], row["value"]) for row in answers if "value" in row]
