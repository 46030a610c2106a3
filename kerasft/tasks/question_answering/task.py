"""Extractive question answering: the stretch of a context that answers a question, or that none does."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.tasks import QuestionAnsweringConfig
from kerasft.data.augmentation.marked_text import MarkedText, Span
from kerasft.data.quality.folding import folded
from kerasft.errors import UserError
from kerasft.tasks.base import Explained, Task, Unreachable
from kerasft.tasks.base.auditable import Judgement
from kerasft.tasks.question_answering import rows
from kerasft.tasks.question_answering.answers import json_answer, predicted_answers
from kerasft.tasks.question_answering.audit import judge_answers
from kerasft.tasks.question_answering.checks import AnswerBorders
from kerasft.tasks.question_answering.kind import KIND, wrong_answers

if TYPE_CHECKING:
    import keras
    import pyarrow as pa
    import tensorflow as tf

    from kerasft.data.prepared.questions import PreparedQuestions
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table
    from kerasft.evaluation.answer_decoding import Decoded


class QuestionAnswering(Task[QuestionAnsweringConfig, "PreparedQuestions"]):
    """The task by the contract: rows of the model are windows, rows of the data and answers are questions.

    `state` holds `no_answer`, whether the training data has questions without an answer, and, where it does, the
    `threshold` of the score of "no answer" over the best answer's.
    """

    pipeline = "question-answering"
    section_class = QuestionAnsweringConfig
    peft_type = "QUESTION_ANS"
    kind = KIND
    explains = judges = True
    judged = "exact match"
    columns = rows.COLUMNS
    compares = True
    headline = "f1"
    cuts_texts = False
    audited = places_in_texts = True
    checks = (AnswerBorders,)
    rising = ("f1", "exact_match")
    falling = ()
    inputs = rows.INPUTS

    def check_config(self) -> None:
        super().check_config()
        half = self.config.model.max_length // 2
        longest = self.section.max_question_length
        if longest > half:
            raise UserError(
                f"task.max_question_length: {longest} is more than half of model.max_length; use {half} or less"
            )

    def schema(self) -> pa.Schema:
        return rows.SCHEMA

    def parse(self, record: Record) -> dict[str, Any]:
        return rows.read_row(record, self.config.data.columns)

    def parse_inputs(self, record: Record) -> dict[str, str]:
        columns = self.config.data.columns
        return rows.read_texts(
            record, {name: columns[name] if columns[name] in record.values else name for name in columns}
        )

    def fit(self, splits: Mapping[str, Table]) -> None:
        answered = [bool(starts) for starts in splits["train"].column("starts")]
        if not any(answered):
            raise UserError("data.train: no question has an answer; check data.columns.answers")
        self.state["no_answer"] = not all(answered)

    def marked_texts(self, row: Mapping[str, Any]) -> dict[str, MarkedText]:
        spans = tuple(Span(start, end) for start, end in zip(row["starts"], row["ends"]))
        return {"question": MarkedText(row["question"]), "context": MarkedText(row["context"], spans)}

    def with_texts(self, row: Mapping[str, Any], texts: Mapping[str, MarkedText]) -> dict[str, Any]:
        spans = texts["context"].spans
        places = {"starts": [span.start for span in spans], "ends": [span.end for span in spans]}
        return super().with_texts(row, texts) | places

    def row_answers(self, table: Table) -> list[Any]:
        """The different answers of each row, without those that differ in case or punctuation alone."""
        columns = zip(*map(table.column, ("context", "starts", "ends")))
        return [tuple(sorted({folded(text[a:b]) for a, b in zip(starts, ends)})) for text, starts, ends in columns]

    def stratify(self, table: Table) -> np.ndarray | None:
        return np.asarray([bool(starts) for starts in table.column("starts")], np.int64)

    def targets(self, table: Table) -> np.ndarray:
        """(rows, 2) int32 start and end of the first answer, which is what is learnt; -1 where there is none."""
        bounds = zip(table.column("starts"), table.column("ends"))
        return np.asarray([(starts[0], ends[0]) if starts else (-1, -1) for starts, ends in bounds], np.int32)

    def prepare(self, table: Table, preprocessor: Any, weighted: bool = False) -> PreparedQuestions:
        from kerasft.data.prepared.questions import prepare_questions
        from kerasft.models.heads.answer_targets import answer_targets

        return prepare_questions(table, preprocessor, self.targets(table), answer_targets)

    def preprocessor(self, backbone: keras.Model, tokenizer: Any) -> Any:
        from kerasft.models.preprocessing.question_preprocessor import question_preprocessor

        task, length = self.section, self.config.model.max_length
        return question_preprocessor(backbone, tokenizer, length, task.stride, task.max_question_length)

    def build(self, backbone: keras.Model) -> keras.Model:
        from kerasft.models.heads.question_answerer import QuestionAnswerer

        return QuestionAnswerer(backbone, self.config.model.dropout)

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        from kerasft.models.heads.answer_targets import answer_loss

        return answer_loss(targets, logits)

    def divergence(self, targets: tf.Tensor, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        from kerasft.models.heads.divergence import between_answers

        return between_answers(targets, one, other)

    def joined_logits(
        self, members: Sequence[tf.Tensor], weights: Sequence[float], features: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        from kerasft.models.heads.joined_logits import of_answers

        return of_answers(members, weights, features)

    def disagreement(
        self, members: Sequence[tf.Tensor], weights: Sequence[float], features: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        from kerasft.models.heads.joined_logits import disagreement_of_answers

        return disagreement_of_answers(members, weights, features)

    def answer(self, model: keras.Model, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self.decode(model({name: features[name] for name in model.input}, training=False), features)

    def decode(self, logits: tf.Tensor, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """(windows, length, 2) logits -> the answer to each question; `features` are the preprocessor's."""
        from kerasft.models.heads.answer_spans import answers, best_spans, choose

        spans = best_spans(logits, features, self.section.n_best, self.section.max_answer_length)
        return answers(choose(spans, self._threshold), features["texts"])

    def explained(
        self, logits: np.ndarray, features: Mapping[str, np.ndarray], label: str | None, contrast: str | None
    ) -> list[list[Explained]]:
        import tensorflow as tf

        from kerasft.tasks.question_answering.explained import explained_answers

        tensors = tf.nest.map_structure(tf.constant, dict(features))
        outputs = {name: value.numpy() for name, value in self.decode(tf.constant(logits), tensors).items()}
        return explained_answers(self.rows(outputs), logits, features, label, contrast)

    @property
    def _threshold(self) -> float | None:
        return self.state.get("threshold", 0.0) if self.state["no_answer"] else None

    def sample(self) -> dict[str, str]:
        return {"question": "Who built the mill?", "context": "The mill by the river was built by Anna in 1820."}

    def tune(self, split: PreparedQuestions, logits: np.ndarray) -> None:
        if not self.state["no_answer"]:
            return
        from kerasft.evaluation.answer_decoding import split_scores
        from kerasft.evaluation.squad import choose_threshold

        decoded = self._decoded(split, logits)
        _, answered, answerable = split_scores(split, decoded.answers["starts"][:, 0], decoded.answers["ends"][:, 0])
        self.state["threshold"] = choose_threshold(decoded.gaps, answered, (~answerable).astype(np.float64))

    def metrics(self, split: PreparedQuestions, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.squad import answer_metrics

        threshold = {"threshold": self._threshold} if self.state["no_answer"] else {}
        return answer_metrics(*self._scores(split, logits)) | {"unreachable": split.unreachable} | threshold

    def unreachable(self, split: PreparedQuestions) -> Unreachable:
        answered = sum(bool(starts) for starts in split.table.column("starts"))
        what = "questions have no answer that begins and ends where tokens do"
        return Unreachable(split.unreachable, answered, what, "Fix the starts of their answers.")

    def interval(self, split: PreparedQuestions, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.intervals import bootstrap_interval

        _, f1, _ = self._scores(split, logits)
        return {"metric": self.headline} | bootstrap_interval(np.mean, f1, seed=self.config.seed)

    def _scores(self, split: PreparedQuestions, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from kerasft.evaluation.answer_decoding import split_scores

        decoded = self._decoded(split, logits).answers
        return split_scores(split, decoded["start"], decoded["end"])

    def _decoded(self, split: PreparedQuestions, logits: np.ndarray) -> Decoded:
        """(tokens, 2) logits of a split -> the answers that a server would give."""
        from kerasft.evaluation.answer_decoding import decode_split

        task = self.section
        return decode_split(split, logits, task.n_best, task.max_answer_length, self._threshold)

    def watched(self, split: PreparedQuestions, logits: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        yield self._decoded(split, logits).answers

    def predictions(self, table: Table, split: PreparedQuestions, logits: np.ndarray) -> Iterator[dict[str, Any]]:
        from kerasft.evaluation.answer_decoding import split_scores

        decoded = self._decoded(split, logits).answers
        exact, f1, _ = split_scores(split, decoded["start"], decoded["end"])
        yield from predicted_answers(table, decoded, exact, f1)

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        return [json_answer(dict(zip(outputs, row))) for row in zip(*outputs.values())]

    def verdict(self, answer: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[Hashable, float]:
        given = folded(answer["answer"])
        true = [folded(row["context"][start:end]) for start, end in zip(row["starts"], row["ends"])]
        return given, float(given in true if true else not given)

    def truth(self, target: np.ndarray) -> Any:
        return target.tolist()

    def write_answer(self, row: Mapping[str, Any]) -> str:
        return rows.write_answers(row["context"], row["starts"], row["ends"])

    def read_answer(self, written: str, row: Mapping[str, Any]) -> dict[str, Any]:
        spans = rows.read_answers(written, row["context"], "answers", row["where"])
        return {"starts": [start for start, _ in spans], "ends": [end for _, end in spans]}

    def judge(self, table: Table, split: PreparedQuestions, logits: np.ndarray) -> Judgement:
        return judge_answers(split, self._decoded(split, logits), table.column("context"))

    def class_counts(self, split: PreparedQuestions) -> dict[str, int]:
        without = sum(not starts for starts in split.table.column("starts"))
        return {"with an answer": len(split.table) - without, "without an answer": without} if without else {}

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return wrong_answers(answers)
