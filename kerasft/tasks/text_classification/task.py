"""Text classification: a text, or a pair of texts, gets a label, several labels or a number."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.config.tasks import TextClassificationConfig
from kerasft.errors import UserError
from kerasft.prompting.prompting import Prompting
from kerasft.tasks.base import OPTIONAL, Explained, Task
from kerasft.tasks.base.auditable import Judgement
from kerasft.tasks.base.taught import Answer
from kerasft.tasks.problems import create_problem
from kerasft.tasks.problems.labels import classify_outputs, grow_labels, shortened
from kerasft.tasks.problems.names import identity
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

    pipeline = "text-classification"
    section_class = TextClassificationConfig
    peft_type = "SEQ_CLS"
    explains = True
    columns = rows.COLUMNS
    compares = True
    honours = OPTIONAL
    audited = True
    mixes_vectors = True

    def __init__(self, config: Config, state: Mapping[str, Any] | None = None):
        super().__init__(config, state)
        self.problem = create_problem(config, self.section, self.state)
        several = self.section.problem in ("single_label", "multi_label")
        self.problem_type = f"{self.section.problem}_classification" if several else self.section.problem
        self.kind = KINDS[self.section.problem]
        self.inputs = rows.inputs_of(config.data.columns)
        self.headline = self.problem.headline
        self.rising, self.falling = self.problem.rising, self.problem.falling
        self.one_of_many = self.has_classes = self.problem.one_of_many
        self.prompting = Prompting.of(config, self.inputs, self.state)
        self.needs_training = self.prompting is None or "labels" not in self.state

    @property
    def fixed_labels(self) -> tuple[str, ...]:
        return tuple(self.section.labels or ())

    @property
    def units(self) -> tuple[float, float]:
        number = self.section.problem == "regression"
        return (self.state["deviation"], self.state["mean"]) if number else (1.0, 0.0)

    def schema(self) -> pa.Schema:
        return rows.schema(self.inputs, self.problem.arrow)

    def check_config(self) -> None:
        super().check_config()
        if self.config.prompting is None and self.section.label_texts is not None:
            raise UserError(
                "task.label_texts: only prompting reads it, and that is null; add prompting: {method: auto}, or remove "
                "label_texts"
            )

    def parse(self, record: Record) -> dict[str, Any]:
        columns = self.config.data.columns
        label = self.problem.parse(record.get(columns["label"], "label"), record.where)
        return {**rows.read_texts(record, columns, self.inputs), "label": label, "where": record.where}

    def parse_inputs(self, record: Record) -> dict[str, str]:
        columns = rows.given_columns(record, self.config.data.columns, self.inputs)
        return rows.read_texts(record, columns, self.inputs)

    def unlabelled(self, record: Record) -> dict[str, Any]:
        return {**self.parse_inputs(record), "label": self.problem.nothing, "where": record.where}

    def fit(self, splits: Mapping[str, Table]) -> None:
        if "train" in splits:
            self.problem.fit(splits)
        else:  # the config names the labels
            self.problem.check_targets(splits)

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

    def adapt(self, backbone: keras.Model, tokenizer: Any) -> tuple[keras.Model, Any]:
        if self.prompting is not None:
            self.prompting.adapt(backbone, tokenizer)
        return backbone, tokenizer

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        if self.prompting is not None:
            return self.prompting.preprocessor(backbone, tokenizer)
        return super().preprocessor(backbone, tokenizer)

    def load_head(self, model: keras.Model, preset: str) -> None:
        if self.prompting is not None:
            self.prompting.load(model, preset)

    def build(self, backbone: keras.Model) -> keras.Model:
        if self.prompting is not None:
            return self.prompting.build(backbone)
        from kerasft.models.heads.text_classifier import RandomFeatures, build_classifier

        count, dropout = self.section.random_features, self.config.model.dropout
        features = None if count is None else RandomFeatures(count, self.config.seed)
        return build_classifier(backbone, self.problem.outputs(), self.section.pooling, dropout, features)

    def labels_signature(self, model: keras.Model, preprocessor: Any) -> Any:
        assert self.prompting is not None  # export.labels is for it alone
        return self.prompting.labels_signature(model, preprocessor)

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return self.problem.loss(targets, logits)

    def divergence(self, targets: tf.Tensor, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        return self.problem.divergence(one, other)

    def joined_logits(
        self, members: Sequence[tf.Tensor], weights: Sequence[float], features: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        return self.problem.joined_logits(members, weights)

    def disagreement(
        self, members: Sequence[tf.Tensor], weights: Sequence[float], features: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        return self.problem.disagreement(members, weights)

    def logits_of(self, answers: Sequence[Answer]) -> np.ndarray:
        return self.problem.logits_of(answers)

    def decode(self, logits: tf.Tensor, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        answer = self.problem.decode(logits)
        if "probabilities" not in answer:
            return answer
        return shortened(answer, self.state["labels"], self.section.top)

    def tf_serving_signatures(self, answers: Mapping[str, tf.Tensor]) -> dict[str, dict[str, tf.Tensor]]:
        if "value" in answers:
            return {"regress": {"outputs": answers["value"][:, None]}}  # (batch,) -> (batch, 1)
        return {"classify": classify_outputs(answers, self.state["labels"])}

    def explained(
        self, logits: np.ndarray, features: Mapping[str, np.ndarray], label: str | None, contrast: str | None
    ) -> list[list[Explained]]:
        return self.problem.explained(logits, label, contrast)

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

    @property
    def judges(self) -> bool:
        return self.section.problem != "regression"

    @property
    def answers_numbers(self) -> bool:
        return self.section.problem == "regression"

    @property
    def judged(self) -> str:
        return "exact match" if self.section.problem == "multi_label" else "accuracy"

    def verdict(self, answer: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[Hashable, float]:
        if self.section.problem == "multi_label":
            return tuple(sorted(answer["labels"])), float(set(answer["labels"]) == set(row["label"]))
        if self.answers_numbers:
            return float(answer["label"]), abs(float(answer["label"]) - float(row["label"]))
        return answer["label"], float(identity(answer["label"]) == identity(row["label"]))

    def truth(self, target: np.ndarray) -> Any:
        return self.problem.truth(target)

    def write_answer(self, row: Mapping[str, Any]) -> str:
        return self.problem.write(row["label"])

    def read_answer(self, written: str, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"label": self.problem.parse(written, row["where"])}

    def judge(self, table: Table, split: Prepared, logits: np.ndarray) -> Judgement:
        return self.problem.judge(split.targets, logits)

    def answer_sets(self, table: Table) -> np.ndarray | None:
        return self.problem.answer_sets(self.targets(table))

    def class_counts(self, split: Prepared) -> dict[str, int]:
        return self.problem.class_counts(split.targets)

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        judged = [(row, self.problem.mistake(row)) for row in answers]
        wrong = sorted(((row, mistake) for row, mistake in judged if mistake), key=lambda pair: -pair[1]["score"])
        return [{name: row[name] for name in (*self.inputs, "truth")} | mistake for row, mistake in wrong]

    def points(self, answers: list[dict[str, Any]]) -> list[tuple[float, float]]:
        return [(row["truth"], row["value"]) for row in answers if "value" in row]
