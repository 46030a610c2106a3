"""Text embedding: a text gets a unit vector, and texts that belong together get like ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.config.tasks import TextEmbeddingConfig
from kerasft.errors import UserError
from kerasft.tasks.base import Task
from kerasft.tasks.base.columns import text_identity
from kerasft.tasks.base.taught import AT_ONCE, Answer
from kerasft.tasks.text_embedding import rows
from kerasft.tasks.text_embedding.kind import RETRIEVAL, SCORED_PAIRS, furthest_off, worst_ranked

if TYPE_CHECKING:
    import keras
    import pyarrow as pa
    import tensorflow as tf

    from kerasft.data.prepared.prepared import Prepared
    from kerasft.data.sources.sources import Record
    from kerasft.data.tables.table import Table


class TextEmbedding(Task[TextEmbeddingConfig, "Prepared"]):
    """The task by the contract. An example has two or three texts; the served model reads one.

    With a `label` column a pair has a score; without, `text_pair` belongs to `text`, and `text_negative`, where there
    is one, is a text that does not although it seems to.
    """

    pipeline = "sentence-similarity"
    section_class = TextEmbeddingConfig
    columns = rows.COLUMNS
    inputs = ("text",)
    needs_training = False
    embeds = True
    compares = True
    falling = ()

    def __init__(self, config: Config, state: Mapping[str, Any] | None = None):
        super().__init__(config, state)
        self.scored = "label" in config.data.columns
        self.kind = SCORED_PAIRS if self.scored else RETRIEVAL
        self.headline = "spearman" if self.scored else "mrr"
        self.rising = self.kind.scores
        setting = self.section.objective
        self.objective = ("cosent" if self.scored else "contrastive") if setting == "auto" else setting
        self.separable = self.objective == "cosine"

    @property
    def texts(self) -> tuple[str, ...]:
        return rows.texts_of(self.config.data.columns)

    def check_config(self) -> None:
        super().check_config()
        training = self.config.training
        rows.check_columns(self.config.data.columns)
        if self.scored and self.objective == "contrastive":
            raise UserError(
                "task.objective: contrastive takes every pair for a match, but data.columns.label scores them; "
                "use cosent or cosine"
            )
        if not self.scored and self.objective != "contrastive":
            raise UserError(f"task.objective: {self.objective} needs scores; name their column in data.columns.label")
        for key in ("gradient_accumulation", "parallel_microbatches"):
            if not self.separable and (getattr(training, key) or 1) > 1:
                raise UserError(
                    f"training.{key}: {getattr(training, key)}, but {self.objective} compares all examples of a "
                    "batch, which parts of it would not see; set it to 1"
                )
        if not self.separable and training.batch_size < 2:
            raise UserError(f"training.batch_size: {self.objective} compares examples with each other; use 2 or more")

    def schema(self) -> pa.Schema:
        return rows.schema(self.texts, self.scored)

    def parse(self, record: Record) -> dict[str, Any]:
        return rows.read_row(record, self.config.data.columns, self.texts, self.scored)

    def parse_inputs(self, record: Record) -> dict[str, str]:
        return {"text": rows.first_text(record, (self.config.data.columns["text"], "text"))}

    def parse_passage(self, record: Record) -> str:
        columns = self.config.data.columns
        return rows.first_text(record, (columns["text_pair"], "text_pair", columns["text"], "text"))

    def fit(self, splits: Mapping[str, Table]) -> None:
        if not self.scored:
            return
        scores = splits["train"].numpy("label")
        if scores.min() == scores.max():
            raise UserError(f"data.train: every pair has the score {scores[0]:g}; there is nothing to learn")
        self.state.update(lowest=float(scores.min()), highest=float(scores.max()))

    def targets(self, table: Table) -> np.ndarray:
        if self.scored:
            return table.numpy("label").astype(np.float32)
        identities = [
            [text_identity(text) for text in row]
            for batch in table.batches(4096, list(self.texts))
            for row in zip(*batch.values())
        ]
        return np.asarray(identities, np.int64)  # (rows, texts)

    def prepare(self, table: Table, preprocessor: Any, weighted: bool = False) -> Prepared:
        from kerasft.data.prepared.groups import prepare_groups

        targets = self.targets(table)
        return prepare_groups(table, preprocessor, self.texts, targets, np.ones(len(targets), np.float32))

    def build(self, backbone: keras.Model) -> keras.Model:
        from kerasft.models.heads.text_embedder import TextEmbedder

        return TextEmbedder(backbone, self.section.pooling)

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        return self._losses(targets, logits, tf.ones_like(logits[:, 0, 0]))

    def loss_sum(self, targets: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        import tensorflow as tf

        return tf.reduce_sum(self._losses(targets, logits, weights) * weights)

    def _losses(self, targets: tf.Tensor, vectors: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        from kerasft.models.heads import embedding_losses

        if self.objective == "contrastive":
            return embedding_losses.contrastive_loss(targets, vectors, weights, self.section.temperature)
        if self.objective == "cosent":
            return embedding_losses.cosent_loss(targets, vectors, weights, self.section.temperature)
        low, high = self.state["lowest"], self.state["highest"]
        return embedding_losses.cosine_loss((targets - low) / (high - low), vectors)

    def divergence(self, targets: tf.Tensor, one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        """(batch, texts, hidden) unit vectors twice -> (batch,) mean squared distance: 2 - 2 * cosine."""
        import tensorflow as tf

        return tf.reduce_mean(tf.reduce_sum(tf.square(one - other), -1), -1)

    def questions(self, table: Table) -> Iterator[dict[str, str]]:
        """Each text of a row by itself: (rows * texts,), the texts of a row next to each other."""
        for columns in table.batches(AT_ONCE, list(self.texts)):
            for row in zip(*(columns[name] for name in self.texts)):
                yield from ({self.inputs[0]: text} for text in row)

    def logits_of(self, answers: Sequence[Answer]) -> np.ndarray:
        if "embedding" not in answers[0]:
            raise UserError(f"it answers with {', '.join(answers[0])}, and has no embedding")
        vectors = np.asarray([answer["embedding"] for answer in answers], np.float32)
        return vectors.reshape(-1, len(self.texts), vectors.shape[-1])  # (rows, texts, hidden)

    def decode(self, logits: tf.Tensor, features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"embedding": logits}

    def metrics(self, split: Prepared, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.metrics import similarity_metrics
        from kerasft.evaluation.retrieval import retrieval_metrics, retrieve

        if self.scored:
            return similarity_metrics(split.targets, _cosines(logits))
        return retrieval_metrics(retrieve(split.targets, logits))

    def interval(self, split: Prepared, logits: np.ndarray) -> dict[str, Any]:
        from kerasft.evaluation.intervals import bootstrap_interval
        from kerasft.evaluation.retrieval import retrieve
        from kerasft.evaluation.scores import spearman

        if self.scored:
            interval = bootstrap_interval(spearman, split.targets, _cosines(logits), seed=self.config.seed)
        else:
            ranks = retrieve(split.targets, logits).reciprocal_ranks()
            interval = bootstrap_interval(np.mean, ranks, seed=self.config.seed)
        return {"metric": self.headline} | interval

    def rows(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        return [{"embedding": vector} for vector in outputs["embedding"].tolist()]

    def truth(self, target: np.ndarray) -> Any:
        return target.tolist()

    def predictions(self, table: Table, split: Prepared, logits: np.ndarray) -> Iterator[dict[str, Any]]:
        """Scored pairs: texts, truth and cosine; otherwise what was found for the text, and the truth's rank."""
        columns = [table.column(name) for name in self.texts[:2]]
        if self.scored:
            for text, pair, truth, cosine in zip(*columns, split.targets.tolist(), _cosines(logits).tolist()):
                yield {"text": text, "text_pair": pair, "truth": truth, "cosine": cosine}
            return
        from kerasft.evaluation.nearest import nearest
        from kerasft.evaluation.retrieval import retrieve

        retrieval = retrieve(split.targets, logits)
        cosines, best = nearest(logits[:, 0], logits[retrieval.corpus, 1], 1)
        for row, (text, pair) in enumerate(zip(*columns)):
            answer = columns[1][retrieval.corpus[best[row, 0]]]
            rank = int(retrieval.ranks[retrieval.pair_of_row[row]])
            yield {"text": text, "truth": pair, "found": answer, "cosine": float(cosines[row, 0]), "rank": rank}

    def mistakes(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return furthest_off(answers) if self.scored else worst_ranked(answers)

    def points(self, answers: list[dict[str, Any]]) -> list[tuple[float, float]]:
        return [(row["truth"], row["cosine"]) for row in answers] if self.scored else []


def _cosines(vectors: np.ndarray) -> np.ndarray:
    """(rows, 2, hidden) unit vectors -> (rows,)."""
    return np.einsum("rh,rh->r", vectors[:, 0], vectors[:, 1])
