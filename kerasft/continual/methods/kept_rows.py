"""The buffer of a method that keeps rows: `buffer.jsonl` of a run, its rows as the task parsed them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kerasft.atomic import write_atomically
from kerasft.config.continual import DarkExperienceConfig, ReplayConfig
from kerasft.continual.memory.buffers import balanced, herding, reservoir
from kerasft.continual.memory.tables import joined
from kerasft.continual.methods.base import Method
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.json_lines import read_json_lines

if TYPE_CHECKING:
    from kerasft.training.actions import Measured

FILE = "buffer.jsonl"
BufferT = TypeVar("BufferT", ReplayConfig, DarkExperienceConfig)


class KeptRows(Method[BufferT]):
    """What methods with a buffer share.

    Rows are kept once a stage is learnt: of those that were kept before and the stage's own. A text is tokenized by the
    tokenizer of the stage that reads it again.
    """

    def kept(self) -> Table:
        """The rows that the parent keeps; of a parent without a buffer, what it would have kept of its own rows."""
        situation, file = self.situation, self.situation.memory(FILE)
        if file is not None:
            rows = [line["row"] for line in read_json_lines(file)]
            if not rows:
                raise UserError(
                    f"{file}: keeps no row any more: all were forgotten; name another continual.method, such as none"
                )
            return Table.from_rows(rows, situation.train.schema)
        assert situation.parent is not None  # a first stage has no use for kept rows
        table = situation.parent_train
        if table is None:
            raise UserError(
                f"{situation.parent.folder} keeps no rows, and those that it learnt can't be read again: bring the "
                "files of its config.yaml back, or name another continual.method"
            )
        if self.section.buffer == "herding":
            raise UserError(
                f"continual.buffer: herding needs the vectors of the rows, and {situation.parent.folder} was trained "
                "without it; set balanced or reservoir"
            )
        return table.select(self._chosen(table, 0, 0, None))

    def keep(self, measured: Measured, folder: Path) -> None:
        table, before = self.situation.train, 0
        seen = len(table)
        if self.situation.parent is not None:
            earlier = self.kept()
            before, table = len(earlier), joined([earlier, table])
            seen += self._seen()
        vectors = self._vectors(measured, table) if self.section.buffer == "herding" else None
        chosen = self._chosen(table, before, seen - len(self.situation.train), vectors)
        lines = [{"row": row} | more for row, more in zip(table.rows(chosen), self.beside(measured, table, chosen))]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_atomically(folder / FILE, text)
        write_atomically(folder / "seen.json", json.dumps({"seen": seen}))

    def beside(self, measured: Measured, table: Table, chosen: Sequence[int]) -> Sequence[dict[str, Any]]:
        """What is kept of each chosen row beside it, JSON-able."""
        return [{}] * len(chosen)

    def _chosen(self, table: Table, before: int, seen: int, vectors: np.ndarray | None) -> list[int]:
        """Indices of the rows that are kept of a table.

        Args:
            table: begins with `before` rows that were kept already.
            before: how many these are.
            seen: rows of the stream that they were kept of.
            vectors: (rows, hidden) of the table, for herding.
        """
        section, seed = self.section, self.situation.config.seed
        classes = [str(label) for label in table.column("label")]
        if section.buffer == "balanced":
            return balanced(classes, self.situation.digests(table), section.rows_per_class, seed)
        if section.buffer == "herding":
            assert vectors is not None
            return herding(vectors, section.rows_per_class, classes)
        return reservoir(section.rows, len(table) - before, seed, kept=before, seen=seen)

    def _seen(self) -> int:
        """Rows of the stream before this stage."""
        file = self.situation.memory("seen.json")
        if file is not None:
            return int(json.loads(file.read_text(encoding="utf-8"))["seen"])
        return len(self.situation.parent_train) if self.situation.parent_train is not None else 0

    def _vectors(self, measured: Measured, table: Table) -> np.ndarray:
        """(rows, hidden) what the last layer reads of each row."""
        import keras
        import tensorflow as tf

        from kerasft.evaluation.evaluate import Evaluator
        from kerasft.models.heads.text_classifier import HEAD

        trained = measured.trained
        model = keras.Model(trained.model.input, trained.model.get_layer(HEAD).input)
        size = self.situation.config.training.evaluation_batch_size
        prepared = trained.task.prepare(table, trained.preprocessor)
        return Evaluator(model, tf.distribute.get_strategy(), size).logits(prepared)


def drawn(rows: int, count: int, *seed: int) -> np.ndarray:
    """(count,) indices of rows, each as often as any other or once more, in an order that the seed draws."""
    random = np.random.default_rng(seed)
    passes = [random.permutation(rows) for _ in range(-(-count // rows))]
    return np.concatenate(passes)[:count] if passes else np.zeros(0, np.int64)
