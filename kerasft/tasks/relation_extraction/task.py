"""Relation extraction: two entities marked in a text get the relation between them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.config.tasks import RelationExtractionConfig
from kerasft.data.augmentation.marked_text import MarkedText, Span
from kerasft.data.sources.markers import Markers
from kerasft.errors import UserError
from kerasft.quoting import listed, quoted
from kerasft.tasks.base import OPTIONAL, Explained, Task
from kerasft.tasks.base.auditable import Judgement
from kerasft.tasks.base.taught import Answer
from kerasft.tasks.problems.labels import classify_outputs, lists, probability_rows, shortened
from kerasft.tasks.problems.names import identity
from kerasft.tasks.problems.single_label import SingleLabel
from kerasft.tasks.relation_extraction import rows
from kerasft.tasks.relation_extraction.kind import KIND

if TYPE_CHECKING:
    import keras
    import pyarrow as pa
    import tensorflow as tf

    from kerasft.data.prepared.prepared import Prepared
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table

FEWEST_TOKENS = 8  # four markers, a token of each entity, and a special token at either end


class RelationExtraction(Task[RelationExtractionConfig, "Prepared"]):
    """The task by the contract: entity markers are tokens of their own, and the head reads the vectors at them."""

    pipeline = "text-classification"
    section_class = RelationExtractionConfig
    kind = KIND
    explains = judges = True
    columns = rows.COLUMNS
    honours = OPTIONAL
    audited = True
    places_in_texts = True
    headline = "f1"
    rising = ("f1", "precision", "recall", *SingleLabel.rising)
    falling = SingleLabel.falling
    inputs = ("text",)
    one_of_many = True
    typed_spans = True
    mixes_vectors = True
    has_classes = True

    def __init__(self, config: Config, state: Mapping[str, Any] | None = None):
        super().__init__(config, state)
        self.markers = Markers(self.section.tags)
        self.labels = SingleLabel(config, self.section, self.state)

    def check_config(self) -> None:
        super().check_config()
        length = self.config.model.max_length
        if length < FEWEST_TOKENS:
            raise UserError(
                f"model.max_length: {length} has no room for two marked entities; use {FEWEST_TOKENS} or more"
            )
        rows.check_columns(self.config.data.columns)

    @property
    def fixed_labels(self) -> tuple[str, ...]:
        return tuple(self.section.labels or ())

    def schema(self) -> pa.Schema:
        return rows.SCHEMA

    def parse(self, record: Record) -> dict[str, Any]:
        columns = self.config.data.columns
        label = self.labels.parse(record.get(columns["label"], "label"), record.where)
        return {"text": rows.read_marked(record, columns, self.markers), "label": label, "where": record.where}

    def parse_inputs(self, record: Record) -> dict[str, str]:
        columns = rows.given_columns(record, self.config.data.columns)
        return {"text": rows.read_marked(record, columns, self.markers)}

    def fit(self, splits: Mapping[str, Table]) -> None:
        self.labels.fit(splits)
        none, labels = self.section.no_relation, self.state["labels"]
        if none is not None and none not in labels:
            raise UserError(f"task.no_relation: no row has the label {quoted(none)}; there are: {listed(labels)}")

    def check_targets(self, splits: Mapping[str, Table]) -> None:
        self.labels.check_targets(splits)

    def without_marks(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(self.markers.remove, texts))

    def marked_texts(self, row: Mapping[str, Any]) -> dict[str, MarkedText]:
        """An entity has no type of its own: it is taken for one of the relation, and of its place in it."""
        text, spans = self.markers.parts(row["text"])
        kinds = (f"{row['label']}/{entity}" for entity in self.section.tags)
        return {"text": MarkedText(text, tuple(Span(*span, kind) for span, kind in zip(spans, kinds)))}

    def with_texts(self, row: Mapping[str, Any], texts: Mapping[str, MarkedText]) -> dict[str, Any]:
        marked = texts["text"]
        return {**row, "text": self.markers.surround(marked.text, [span[:2] for span in marked.spans])}

    def data_warnings(self) -> list[str]:
        return self.labels.data_warnings()

    def stratify(self, table: Table) -> np.ndarray | None:
        return self.labels.groups(table)

    def targets(self, table: Table) -> np.ndarray:
        return self.labels.targets(table)

    def weights(self, targets: np.ndarray) -> np.ndarray:
        return self.labels.weights(targets)

    def adapt(self, backbone: keras.Model, tokenizer: Any) -> tuple[keras.Model, Any]:
        from kerasft.models.presets.added_tokens import add_tokens

        backbone, tokenizer, ids = add_tokens(backbone, tokenizer, self.markers.tokens, self.config.seed)
        self.state["marker_ids"] = ids
        return backbone, tokenizer

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        from kerasft.models.preprocessing.relation_preprocessor import relation_preprocessor

        length = self.config.model.max_length
        return relation_preprocessor(backbone, tokenizer, length, self.markers.tokens, self.state["marker_ids"])

    def build(self, backbone: keras.Model) -> keras.Model:
        from kerasft.models.heads.relation_classifier import build_relation_classifier

        ids, dropout = self.state["marker_ids"], self.config.model.dropout
        return build_relation_classifier(backbone, self.labels.outputs(), ids, dropout)

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return self.labels.loss(targets, logits)

    def logits_of(self, answers: Sequence[Answer]) -> np.ndarray:
        if "relation" not in answers[0]:
            raise UserError(f"it answers with {', '.join(answers[0])}, and has no relation")
        if any(not answer["relation"] for answer in answers):
            raise UserError("it finds no two entities in a text: its task.tags are others than those of data.train")
        return self.labels.logits_of([{**answer, "label": answer["relation"]} for answer in answers])

    def decode(self, logits: tf.Tensor, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """A text whose entities are not well marked has the relation "" and zeros: a batch must not fail for it."""
        import tensorflow as tf

        from kerasft.models.preprocessing.relation_preprocessor import well_marked

        answer = self.labels.decode(logits)
        marked = well_marked(tf.convert_to_tensor(features["token_ids"]), self.state["marker_ids"])
        probabilities = answer["probabilities"] * tf.cast(marked, tf.float32)[:, tf.newaxis]
        outputs = {
            "relation": tf.where(marked, answer["label"], ""),
            "score": tf.reduce_max(probabilities, axis=-1),
            "probabilities": probabilities,
        }
        return shortened(outputs, self.state["labels"], self.section.top)

    def tf_serving_signatures(self, answers: Mapping[str, tf.Tensor]) -> dict[str, dict[str, tf.Tensor]]:
        return {"classify": classify_outputs(answers, self.state["labels"])}

    def sample(self) -> dict[str, str]:
        opening, closing, other, end = self.markers.tokens
        return {"text": f"the {opening}mill{closing} by the {other}river{end}"}

    def probes(self, inputs: Mapping[str, list[bytes]]) -> dict[str, list[bytes]]:
        opening, closing, other, end = (marker.encode() for marker in self.markers.tokens)
        marked = [opening + b"mill" + closing + text + other + b"river" + end for text in inputs["text"]]
        return {"text": [*inputs["text"], *marked]}

    def explained(
        self, logits: np.ndarray, features: Mapping[str, np.ndarray], label: str | None, contrast: str | None
    ) -> list[list[Explained]]:
        return self.labels.explained(logits, label, contrast)

    def tune(self, split: Prepared, logits: np.ndarray) -> None:
        self.labels.tune(split.targets, logits)

    def metrics(self, split: Prepared, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.metrics import single_label_metrics
        from kerasft.evaluation.relations import relation_scores

        relation_of, names = self._relations()
        scores = relation_scores(split.targets, logits.argmax(-1), relation_of, names)
        scores |= single_label_metrics(split.targets, self.labels.probabilities(logits), self.state["labels"])
        return scores | self.labels.calibrated(split.targets, logits)

    def interval(self, split: Prepared, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.intervals import bootstrap_interval
        from kerasft.evaluation.relations import relation_f1

        relation_of, names = self._relations()

        def f1(targets: np.ndarray, predictions: np.ndarray) -> float:
            return relation_f1(targets, predictions, relation_of, len(names))

        return {"metric": "f1"} | bootstrap_interval(f1, split.targets, logits.argmax(-1), seed=self.config.seed)

    def _relations(self) -> tuple[np.ndarray, list[str]]:
        """(labels,) index of each label's relation, -1 for no relation; and the relations' names."""
        a, b = self.section.tags
        bare = [label.removesuffix(f"({a},{b})").removesuffix(f"({b},{a})") for label in self.state["labels"]]
        none = self.section.no_relation
        names = sorted({name for name, label in zip(bare, self.state["labels"]) if label != none})
        number = {name: i for i, name in enumerate(names)}
        ids = [-1 if label == none else number[name] for name, label in zip(bare, self.state["labels"])]
        return np.asarray(ids), names

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        probabilities = probability_rows(outputs, self.state["labels"], self.section.top)
        return [
            {"relation": relation, "score": score, "probabilities": each}
            for relation, score, each in zip(*lists(outputs, "relation", "score"), probabilities)
        ]

    def watched(self, split: Prepared, logits: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        return (outputs for _, _, outputs in self._decoded_rows(split, logits))

    def verdict(self, answer: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[Hashable, float]:
        return answer["relation"], float(identity(answer["relation"]) == identity(row["label"]))

    def truth(self, target: np.ndarray) -> str:
        return self.labels.truth(target)

    def write_answer(self, row: Mapping[str, Any]) -> str:
        return self.labels.write(row["label"])

    def read_answer(self, written: str, row: Mapping[str, Any]) -> dict[str, Any]:
        return {"label": self.labels.parse(written, row["where"])}

    def judge(self, table: Table, split: Prepared, logits: np.ndarray) -> Judgement:
        return self.labels.judge(split.targets, logits)

    def class_counts(self, split: Prepared) -> dict[str, int]:
        return self.labels.class_counts(split.targets)

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        wrong = sorted((row for row in answers if row["relation"] != row["truth"]), key=lambda row: -row["score"])
        return [
            {"text": row["text"], "truth": row["truth"], "prediction": row["relation"], "score": row["score"]}
            for row in wrong
        ]
