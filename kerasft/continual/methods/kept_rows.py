"""The buffer of a method that keeps rows: `buffer.jsonl` of a run, its rows as the task parsed them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from kerasft.atomic import write_atomically
from kerasft.config.continual import DarkExperienceConfig, ReplayConfig
from kerasft.config.schema import Config
from kerasft.continual.memory.buffers import balanced, herding, reservoir
from kerasft.continual.memory.tables import joined
from kerasft.continual.methods.base import Method
from kerasft.continual.methods.entity_stage import types_in
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

    @classmethod
    def check(cls, config: Config) -> None:
        super().check(config)
        section, task = config.continual, config.task
        assert isinstance(section, (ReplayConfig, DarkExperienceConfig))
        if section.buffer == "herding" and not task.grows:
            raise UserError(f"continual.buffer: herding is for text_classification, not {task.name}; set auto")
        if section.buffer == "balanced" and not (task.grows or task.grows_types):
            raise UserError(f"continual.buffer: balanced, and rows of {task.name} have no classes; set reservoir")

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
        table = self._parent_rows()
        if self.section.buffer == "herding":
            raise UserError(
                f"continual.buffer: herding needs the vectors of the rows, and {situation.parent.folder} was trained "
                "without it; set balanced or reservoir"
            )
        return table.select(self._chosen(table, 0, 0, None))

    def _parent_rows(self) -> Table:
        """Those that a parent without a buffer learnt. Raises UserError where they are gone."""
        parent, table = self.situation.parent, self.situation.parent_train
        if table is None:
            raise UserError(
                f"{parent and parent.folder} keeps no rows, and those that it learnt can't be read again: bring the "
                "files of its config.yaml back, or name another continual.method"
            )
        return table

    def types_of_kept(self) -> list[list[str]]:
        """The types of entities that each kept row was labelled for."""
        file = self.situation.memory(FILE)
        if file is not None:
            return [line["types"] for line in read_json_lines(file)]
        return [sorted(types_in(self._parent_rows()))] * len(self.kept())

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
        if not self.situation.config.task.grows_types:
            return [{}] * len(chosen)
        old, own = self.types_of_kept() if self.situation.parent is not None else [], types_in(self.situation.train)
        return [{"types": old[row] if row < len(old) else sorted(own)} for row in chosen]

    def _chosen(self, table: Table, before: int, seen: int, vectors: np.ndarray | None) -> list[int]:
        """Indices of the rows that are kept of a table.

        Args:
            table: begins with `before` rows that were kept already.
            before: how many these are.
            seen: rows of the stream that they were kept of.
            vectors: (rows, hidden) of the table, for herding.
        """
        section, seed = self.section, self.situation.config.seed
        if self._buffer == "balanced":
            return balanced(self._classes(table), self.situation.digests(table), section.rows_per_class, seed)
        if self._buffer == "herding":
            assert vectors is not None
            return herding(vectors, section.rows_per_class, [str(label) for label in table.column("label")])
        return reservoir(section.rows, len(table) - before, seed, kept=before, seen=seen)

    @property
    def _buffer(self) -> str:
        if self.section.buffer != "auto":
            return self.section.buffer
        task = self.situation.config.task
        return "balanced" if task.grows or task.grows_types else "reservoir"

    def _classes(self, table: Table) -> list[set[str]]:
        """The class of each row, or its types."""
        several = self.situation.config.task.grows_types
        return [set(map(str, label)) if several else {str(label)} for label in table.column("label")]

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
