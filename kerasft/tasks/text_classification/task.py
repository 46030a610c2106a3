"""Text classification: a text, or a pair of texts, gets a label, several labels or a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kerasft.config.schema import Config
from kerasft.tasks.base import Column, Task
from kerasft.tasks.base.columns import text_of
from kerasft.tasks.problems import create_problem
from kerasft.tasks.problems.labels import classify_outputs, shortened

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from kerasft.data.prepared.prepared import Prepared
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table


class TextClassification(Task):
    """The task by the contract; what depends on the kind of label is in `tasks/problems`."""

    columns = (Column("text"), Column("text_pair", required=False), Column("label"))

    def __init__(self, config: Config, state: Mapping[str, Any] | None = None):
        super().__init__(config, state)
        self.problem = create_problem(config, self.state)
        self.headline = self.problem.headline
        self.rising, self.falling = self.problem.rising, self.problem.falling

    @property
    def kind(self) -> str:
        return self.config.task.problem

    @property
    def inputs(self) -> tuple[str, ...]:
        return ("text", "text_pair") if "text_pair" in self.config.data.columns else ("text",)

    def schema(self) -> pa.Schema:
        texts = [(name, pa.large_string()) for name in self.inputs]
        return pa.schema([*texts, ("label", self.problem.arrow), ("where", pa.string())])

    def parse(self, record: Record) -> dict[str, Any]:
        column = self.config.data.columns["label"]
        label = self.problem.parse(record.get(column, "label"), record.where)
        return self._texts(record, self.config.data.columns) | {"label": label, "where": record.where}

    def parse_inputs(self, record: Record) -> dict[str, str]:
        named = self.config.data.columns
        columns = {name: named[name] if named[name] in record.values else name for name in self.inputs}
        return self._texts(record, columns)

    def _texts(self, record: Record, columns: Mapping[str, str]) -> dict[str, str]:
        return {name: text_of(record.get(columns[name], name), columns[name], record.where) for name in self.inputs}

    def fit(self, splits: Mapping[str, Table]) -> None:
        self.problem.fit(splits)

    def check_targets(self, splits: Mapping[str, Table]) -> None:
        self.problem.check_targets(splits)

    def data_warnings(self) -> list[str]:
        return self.problem.data_warnings()

    def stratify(self, table: Table) -> np.ndarray | None:
        return self.problem.groups(table)

    def targets(self, table: Table) -> np.ndarray:
        return self.problem.targets(table)

    def weights(self, targets: np.ndarray) -> np.ndarray:
        return self.problem.weights(targets)

    def build(self, backbone: keras.Model) -> keras.Model:
        from kerasft.models.heads.text_classifier import build_classifier

        model = self.config.model
        return build_classifier(backbone, self.problem.outputs(), self.config.task.pooling, model.dropout)

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return self.problem.loss(targets, logits)

    def decode(self, logits: tf.Tensor, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        answer = self.problem.decode(logits)
        if "probabilities" not in answer:
            return answer
        return shortened(answer, self.state["labels"], self.config.task.top)

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
        wrong = [(row, self.problem.mistake(row)) for row in answers]
        wrong = sorted(((row, found) for row, found in wrong if found), key=lambda pair: -pair[1]["score"])
        return [{name: row[name] for name in (*self.inputs, "truth")} | found for row, found in wrong]

    def points(self, answers: list[dict[str, Any]]) -> list[tuple[float, float]]:
        return [(row["truth"], row["value"]) for row in answers if "value" in row]
