"""Token classification: stretches of a text get a type, as in named entities, chunks and parts of speech."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.config.tasks import TokenClassificationConfig
from kerasft.data.augmentation.marked_text import MarkedText
from kerasft.errors import UserError
from kerasft.tasks.base import DECODED_AT_ONCE, Explained, Unreachable
from kerasft.tasks.base.auditable import Judgement
from kerasft.tasks.problems.labels import check_unknown, fit_labels, grow_labels
from kerasft.tasks.problems.names import identity, indices, name_warnings
from kerasft.tasks.token_classification import rows
from kerasft.tasks.token_classification.answers import (
    entity_rows,
    entity_verdict,
    padded_entities,
    unreachable_entities,
)
from kerasft.tasks.token_classification.audit import judge_entities
from kerasft.tasks.token_classification.checks import EntityBorders, SurfaceTypes, TagScheme
from kerasft.tasks.token_classification.joins_chains import JoinsChains
from kerasft.tasks.token_classification.kind import KIND, wrong_texts
from kerasft.tasks.token_classification.tags import iob2_tags, tag_warnings

if TYPE_CHECKING:
    import keras
    import pyarrow as pa
    import tensorflow as tf

    from kerasft.data.prepared.spans import Spans
    from kerasft.data.prepared.token_windows import PreparedWindows
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table


class TokenClassification(JoinsChains):
    """The task by the contract: rows of the model are windows, rows of the data and answers are texts."""

    pipeline = "token-classification"
    section_class = TokenClassificationConfig
    peft_type = "TOKEN_CLS"
    kind = KIND
    explains = judges = judged_in_parts = True
    judged = "entity F1 of a text"
    columns = rows.COLUMNS
    honours = ("label_smoothing",)
    headline = "f1"
    cuts_texts = False
    typed_spans = True
    audited = places_in_texts = True
    checks = (EntityBorders, SurfaceTypes, TagScheme)
    rising = ("f1", "precision", "recall", "macro_f1", "weighted_f1")
    falling = ()
    inputs = ("text",)

    def __init__(self, config: Config, state: Mapping[str, Any] | None = None):
        super().__init__(config, state)
        self.tag_counts: Counter[str] = Counter()  # as the data has them, with their prefixes
        self.one_of_many = not self.section.crf  # a chain's probabilities are those of whole paths

    def check_config(self) -> None:
        super().check_config()
        rows.check_columns(self.config.data.columns)
        if self.config.training.label_smoothing and self.section.crf:
            raise UserError("training.label_smoothing: not with task.crf; set one of them")
        stride, half = self.section.stride, self.config.model.max_length // 2
        if stride > half:
            raise UserError(f"task.stride: {stride} is more than half of model.max_length; use {half} or less")

    @property
    def fixed_labels(self) -> tuple[str, ...]:
        return tuple(self.section.labels or ())

    def schema(self) -> pa.Schema:
        return rows.schema()

    def parse(self, record: Record) -> dict[str, Any]:
        return rows.read_row(record, self.config.data.columns, self.section, self.tag_counts)

    def parse_inputs(self, record: Record) -> dict[str, str]:
        return {"text": rows.read_text(record, self.config.data.columns, self.section.joiner)}

    def unlabelled(self, record: Record) -> dict[str, Any]:
        return rows.without_entities(self.parse_inputs(record)["text"], record.where)

    def fit(self, splits: Mapping[str, Table]) -> None:
        learnt = [splits["train"], splits["validation"]]  # a share may hold the only entity of a type
        names = rows.types_in(*learnt)
        if not names:
            raise UserError("data.train: no row has an entity; check data.columns and the tags")
        fit_labels(self.section.labels, self.state, names)
        self.check_targets(splits)

    def check_targets(self, splits: Mapping[str, Table]) -> None:
        check_unknown(self.state["labels"], splits, lambda labels: labels, self.config.data.limit)

    def grown_labels(self, old: Sequence[str], train: Table, where: str) -> list[str]:
        return grow_labels(self.section.labels, old, rows.types_in(train), where)

    def marked_texts(self, row: Mapping[str, Any]) -> dict[str, MarkedText]:
        return {"text": rows.marked_text(row)}

    def with_texts(self, row: Mapping[str, Any], texts: Mapping[str, MarkedText]) -> dict[str, Any]:
        return rows.with_text(row, texts["text"])

    def data_warnings(self) -> list[str]:
        return tag_warnings(self.tag_counts, self.section.scheme) + name_warnings(self.state["labels"], "types")

    def entities(self, table: Table) -> Spans:
        """The true entities of every text."""
        from kerasft.data.prepared.spans import Spans

        ids = indices(self.state["labels"])
        types = [[ids[identity(label)] for label in labels] for labels in table.column("label")]
        return Spans.of_rows(table.column("starts"), table.column("ends"), types)

    def prepare(self, table: Table, preprocessor: Any, weighted: bool = False) -> PreparedWindows:
        from kerasft.data.prepared.spans import Spans
        from kerasft.data.prepared.token_windows import prepare_windows
        from kerasft.evaluation.entity_metrics import word_tags

        gold, words = self.entities(table), None
        if "tokens" in self.config.data.columns:
            words = Spans.of_rows(table.column("word_starts"), table.column("word_ends"))
        return prepare_windows(table, preprocessor, gold, words, lambda units: word_tags(gold, units))

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        from kerasft.models.preprocessing.window_preprocessor import window_preprocessor

        task = self.section
        return window_preprocessor(backbone, tokenizer, self.config.model.max_length, task.stride, task.units)

    def build(self, backbone: keras.Model) -> keras.Model:
        from kerasft.models.heads.token_classifier import build_token_classifier

        outputs = 1 + 2 * len(self.state["labels"])
        # The chain's weights are the model's; the loss and the decoder, which see logits alone, read them here.
        model, self.chain = build_token_classifier(backbone, outputs, self.config.model.dropout, self.section.crf)
        return model

    def logit_names(self, labels: Sequence[str]) -> list[str]:
        return iob2_tags(super().logit_names(labels))

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        from kerasft.models.heads.tag_loss import chain_loss, tag_loss

        if self.chain is not None:
            return chain_loss(targets, logits, self.chain)
        return tag_loss(targets, logits, self.config.training.label_smoothing)

    def answer(self, model: keras.Model, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self.decode(model({name: features[name] for name in model.input}, training=False), features)

    def decode(self, logits: tf.Tensor, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """(windows, length, tags) logits -> entities of each text; `features` are the preprocessor's."""
        from kerasft.models.heads.entities import answers, find_entities, unit_logits

        labels = self.state["labels"]
        units, starts, ends = (features[name] for name in ("units", "unit_starts", "unit_ends"))
        entities = find_entities(unit_logits(logits, features), units, starts, ends, len(labels), self.chain)
        return answers(entities, features["texts"], labels)

    def explained(
        self, logits: np.ndarray, features: Mapping[str, np.ndarray], label: str | None, contrast: str | None
    ) -> list[list[Explained]]:
        import tensorflow as tf

        from kerasft.tasks.token_classification.explained import explained_entities

        tensors = tf.nest.map_structure(tf.constant, dict(features))
        outputs = {name: value.numpy() for name, value in self.decode(tf.constant(logits), tensors).items()}
        return explained_entities(self.rows(outputs), logits, features, self.state["labels"], label, contrast)

    def metrics(self, split: PreparedWindows, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.entity_metrics import entity_metrics

        predicted, _ = self._decode_split(split, logits)
        return entity_metrics(split.gold, predicted, split.words, split.units, self.state["labels"], split.texts)

    def unreachable(self, split: PreparedWindows) -> Unreachable:
        return unreachable_entities(split, self.section.units)

    def interval(self, split: PreparedWindows, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.entity_metrics import counts_by_text, f1_of_counts
        from kerasft.evaluation.intervals import bootstrap_interval

        counts = counts_by_text(split.gold, self._decode_split(split, logits)[0], split.texts)
        return {"metric": self.headline} | bootstrap_interval(f1_of_counts, counts, seed=self.config.seed)

    def _decode_split(self, split: PreparedWindows, logits: np.ndarray) -> tuple[Spans, np.ndarray]:
        """(tokens, tags) logits of a split -> the entities that a server would answer, and their scores."""
        from kerasft.evaluation.entity_decoding import decode_split

        return decode_split(split, logits, len(self.state["labels"]), self.chain, DECODED_AT_ONCE)

    def predictions(self, table: Table, split: PreparedWindows, logits: np.ndarray) -> Iterator[dict[str, Any]]:
        predicted, scores = self._decode_split(split, logits)
        true, answered = (spans.by_text(split.texts) for spans in (split.gold, predicted))
        for number, text in enumerate(table.column("text")):
            yield {
                "text": text,
                "truth": [self._entity(text, split.gold, at) for at in true[number]],
                "entities": [
                    self._entity(text, predicted, at) | {"score": float(scores[at])} for at in answered[number]
                ],
            }

    def watched(self, split: PreparedWindows, logits: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        yield padded_entities(*self._decode_split(split, logits), split.texts, self.state["labels"])

    def check_audit(self) -> None:
        if self.section.crf:
            raise UserError("task.crf: true gives no probability of a token's tag; audit with task.crf=false")

    def write_answer(self, row: Mapping[str, Any]) -> str:
        return rows.write_spans(zip(row["starts"], row["ends"], row["label"]))

    def read_answer(self, written: str, row: Mapping[str, Any]) -> dict[str, Any]:
        return rows.corrected_spans(written, row)

    def judge(self, table: Table, split: PreparedWindows, logits: np.ndarray) -> Judgement:
        return judge_entities(split, logits, self._decode_split(split, logits)[0], self.state["labels"])

    def _entity(self, text: str, spans: Spans, at: int) -> dict[str, Any]:
        start, end, kind = (int(values[at]) for values in (spans.starts, spans.ends, spans.types))
        return {"text": text[start:end], "type": self.state["labels"][kind], "start": start, "end": end}

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        return entity_rows(outputs)

    def verdict(self, answer: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[Hashable, float]:
        return entity_verdict(answer, row)

    def truth(self, target: np.ndarray) -> list[str]:
        tags = iob2_tags(self.state["labels"])  # tokens without one have -1
        return [tags[tag] for tag in target if tag >= 0]

    def class_counts(self, split: PreparedWindows) -> dict[str, int]:
        labels = self.state["labels"]
        return dict(zip(labels, np.bincount(split.gold.types, minlength=len(labels)).tolist()))

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return wrong_texts(answers)
