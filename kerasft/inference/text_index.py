"""The texts of a corpus with their unit vectors, searched exactly."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from kerasft.data.sources.sources import Record
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.evaluation.nearest import nearest
from kerasft.tasks.base.columns import text_identity

SCHEMA = pa.schema([("text", pa.large_string()), ("where", pa.string())])


class TextIndex:
    """Distinct texts, each with where it stood first; vectors are mapped from a temporary file, not held in memory.

    Args:
        answerer: a loaded model of a task that embeds: a `Trained` or a `Servable`.
        records: of the corpus.
        batch_size: texts a call of the model.

    Raises:
        UserError: the corpus is empty, or a record has no text.
    """

    def __init__(self, answerer: Any, records: Iterable[Record], batch_size: int):
        self._file = tempfile.TemporaryFile(prefix="kerasft-")
        self._texts = Table.from_rows(self._embedded(answerer, _distinct(answerer, records), batch_size), SCHEMA)
        if not len(self._texts):
            raise UserError("--index: there is no text in it; give a file with at least one")
        self._file.flush()
        self._vectors = np.memmap(self._file, np.float32, "r").reshape(len(self._texts), -1)

    def __len__(self) -> int:
        return len(self._texts)

    def search(self, vectors: np.ndarray, top: int) -> list[list[dict[str, Any]]]:
        """(queries, hidden) unit vectors -> for each the `top` texts with the highest cosine: text, score, where."""
        scores, rows = nearest(vectors, self._vectors, top)
        texts = iter(self._texts.rows(rows.reshape(-1)))
        return [
            [{"text": row["text"], "score": score, "where": row["where"]} for score, row in zip(line, texts)]
            for line in scores.tolist()
        ]

    def _embedded(self, answerer: Any, rows: Iterator[dict[str, str]], size: int) -> Iterator[dict[str, str]]:
        while batch := list(islice(rows, size)):
            vectors = answerer.answer({"text": [row["text"] for row in batch]})["embedding"]
            self._file.write(np.ascontiguousarray(vectors, np.float32).tobytes())
            yield from batch


def _distinct(answerer: Any, records: Iterable[Record]) -> Iterator[dict[str, str]]:
    keys: set[int] = set()
    for record in records:
        text = answerer.task.parse_passage(record)
        key = text_identity(text)
        if key not in keys:
            keys.add(key)
            yield {"text": text, "where": record.where}
