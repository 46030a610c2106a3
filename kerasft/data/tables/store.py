"""Chunks of Arrow rows, in memory or memory-mapped from a temporary file, and rows out of them by number."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kerasft.errors import UserError

CHUNK_ROWS = 4096
CHUNK_BYTES = 16 << 20  # long rows come in smaller chunks


class Store:
    """The rows themselves, which every view shares.

    Args:
        schema: names and types.
        batches: chunks of rows, never joined, so that texts of over 2 GB in total fit 32-bit string offsets.
    """

    def __init__(self, schema: pa.Schema, batches: list[pa.RecordBatch]):
        self.schema = schema
        self.batches = batches
        self._starts = np.cumsum([0] + [batch.num_rows for batch in batches])  # (batches + 1,)
        self.rows = int(self._starts[-1])

    def columns(self, indices: np.ndarray, names: Sequence[str]) -> dict[str, list[Any]]:
        """Name -> the values at (rows,) store indices, in their order."""
        pieces, order = self._gather(indices)
        columns: dict[str, list[Any]] = {}
        for name in names:
            values = [value for piece in pieces for value in piece.column(name).to_pylist()]
            columns[name] = values if order is None else [values[at] for at in order]
        return columns

    def in_order(self, indices: np.ndarray) -> list[pa.RecordBatch]:
        """The rows at store indices, in their order, as record batches."""
        pieces, order = self._gather(indices)
        if order is None:
            return pieces
        return pa.Table.from_batches(pieces).take(pa.array(order)).to_batches()

    def _gather(self, indices: np.ndarray) -> tuple[list[pa.RecordBatch], np.ndarray | None]:
        """One piece a chunk, and where each row then stands in the pieces (None: in order already)."""
        if (np.diff(indices) >= 0).all():
            return self._pieces(indices), None
        by_chunk = np.argsort(indices, kind="stable")
        order = np.empty(len(indices), np.int64)
        order[by_chunk] = np.arange(len(indices))
        return self._pieces(indices[by_chunk]), order

    def _pieces(self, ascending: np.ndarray) -> list[pa.RecordBatch]:
        """The rows at ascending store indices, one record batch for each chunk that holds some."""
        chunks = np.searchsorted(self._starts, ascending, side="right") - 1
        cuts = np.flatnonzero(np.diff(chunks)) + 1
        runs = np.split(ascending, cuts) if len(ascending) else []
        firsts = chunks[np.concatenate([[0], cuts])] if len(ascending) else []
        return [_take(self.batches[chunk], run - self._starts[chunk]) for chunk, run in zip(firsts, runs)]


def _take(batch: pa.RecordBatch, local: np.ndarray) -> pa.RecordBatch:
    """Rows of one batch: a slice where they are consecutive, which copies nothing."""
    first, last = int(local[0]), int(local[-1])
    if last - first + 1 == len(local) and (np.diff(local) == 1).all():
        return batch.slice(first, len(local))
    return batch.take(pa.array(local))


def record_batches(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Rows -> batches of at most `CHUNK_ROWS` and about `CHUNK_BYTES`.

    Raises:
        KeyError: a row lacks a name of the schema.
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: a value does not fit its type.
    """
    rows = iter(rows)
    while chunk := list(_chunk(rows)):
        yield from _convert(chunk, schema)


def _chunk(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows up to `CHUNK_ROWS` or about `CHUNK_BYTES`, whichever is less."""
    room = CHUNK_BYTES
    for row in itertools.islice(rows, CHUNK_ROWS):
        yield row
        room -= sum(_size(value) for value in row.values())
        if room <= 0:
            return


def _size(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return len(value)
    return sum(map(_size, value)) if isinstance(value, list) else 8


def _convert(rows: list[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Rows as one batch, or as several where their texts are too long for one array's 32-bit offsets."""
    arrays = [pa.array([row[field.name] for row in rows], field.type) for field in schema]
    if len(rows) > 1 and any(isinstance(array, pa.ChunkedArray) for array in arrays):
        half = len(rows) // 2
        yield from _convert(rows[:half], schema)
        yield from _convert(rows[half:], schema)
    else:
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def spill(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Store:
    """Writes the batches to a file in a temporary folder that lives as long as the store. Raises UserError."""
    with contextlib.ExitStack() as undo:
        folder = _temporary_folder()
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        file = os.path.join(folder, "rows.arrow")
        with pa.OSFile(file, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for batch in batches:
                _write(writer, batch, folder)
        reader = pa.ipc.open_file(pa.memory_map(file))
        store = Store(schema, [reader.get_batch(number) for number in range(reader.num_record_batches)])
        weakref.finalize(store, shutil.rmtree, folder, ignore_errors=True)
        undo.pop_all()
    return store


def _temporary_folder() -> str:
    try:
        return tempfile.mkdtemp(prefix="kerasft-")
    except OSError as error:
        raise _no_room(tempfile.gettempdir(), error) from error


def _write(writer: pa.RecordBatchWriter, batch: pa.RecordBatch, folder: str) -> None:
    try:
        writer.write_batch(batch)
    except OSError as error:
        raise _no_room(folder, error) from error


def _no_room(folder: str, error: OSError) -> UserError:
    return UserError(f"{folder}: cannot hold the data ({error.strerror or error}); set TMPDIR to a folder with room")
