"""Rows that are reached by index: Arrow in memory, or memory-mapped from a temporary file once they are many."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kerasft.data.tables.digest import digest_batches
from kerasft.data.tables.store import CHUNK_ROWS, Store, record_batches, spill

GATHER_ROWS = 512  # rows of several chunks that are joined at a time
SPILL_BYTES = 256 << 20


class Table:
    """An immutable sequence of rows of one Arrow schema; `Table.from_rows` makes one.

    `select` gives a view: an array of row numbers over the same rows.
    """

    def __init__(self, store: Store, indices: np.ndarray | None = None):
        self._store = store
        self._indices = indices  # (rows,) int64 row numbers in the store; None: all of them, in order

    @classmethod
    def from_rows(cls, rows: Iterable[dict[str, Any]], schema: pa.Schema, spill_bytes: int = SPILL_BYTES) -> Table:
        """Takes rows one by one; past `spill_bytes` of Arrow data they go to a file in a temporary folder.

        The folder (under $TMPDIR) is removed with the last table over it, and at exit.

        Args:
            rows: each a dict with every name of the schema; None where a value is missing.
            schema: names and types.
            spill_bytes: bytes of Arrow data that are held in memory.

        Raises:
            UserError: the temporary folder has no room.
            KeyError: a row lacks a name of the schema.
            pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: a value does not fit its type.
        """
        batches = record_batches(rows, schema)
        in_memory: list[pa.RecordBatch] = []
        size = 0
        for batch in batches:
            in_memory.append(batch)
            size += batch.nbytes
            if size > spill_bytes:
                return cls(spill(itertools.chain(in_memory, batches), schema))
        return cls(Store(schema, in_memory))

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self._store.schema

    def __len__(self) -> int:
        return self._store.rows if self._indices is None else len(self._indices)

    def select(self, indices: np.ndarray | Sequence[int]) -> Table:
        """A view of some rows, in the order given; a row may come more than once.

        Args:
            indices: (rows,) row numbers in this table, from 0.

        Raises:
            IndexError: a number is negative or too large.
            TypeError: the indices are not integers.
        """
        return Table(self._store, self._resolve(indices))

    def replace(self, rows: Mapping[int, dict[str, Any]]) -> Table:
        """A copy with other rows at some numbers, each with every name of the schema."""
        names = self.schema.names
        values = itertools.chain.from_iterable(
            (dict(zip(names, row)) for row in zip(*batch.values())) for batch in self.batches(CHUNK_ROWS)
        )
        return Table.from_rows((rows.get(number, row) for number, row in enumerate(values)), self.schema)

    def rows(self, indices: np.ndarray | Sequence[int]) -> list[dict[str, Any]]:
        """Some rows, in the order given, as dicts. Raises as `select` does."""
        columns = self._store.columns(self._resolve(indices), self.schema.names)
        return [dict(zip(columns, values)) for values in zip(*columns.values())]

    def column(self, name: str) -> list[Any]:
        """Every value of one column, in row order. Raises KeyError."""
        return [value for batch in self.batches(CHUNK_ROWS, [name]) for value in batch[name]]

    def batches(self, size: int, names: Sequence[str] | None = None) -> Iterator[dict[str, list[Any]]]:
        """Column name -> `size` values each (the last batch may have fewer), in row order; names=None: all columns.

        Raises:
            KeyError: there is no such column.
            ValueError: the size is not positive.
        """
        names = self.schema.names if names is None else list(names)
        for name in names:
            self._check_name(name)
        if size < 1:
            raise ValueError(f"size: {size} is not positive")
        return (self._store.columns(part, names) for part in self._parts(size))

    def numpy(self, name: str) -> np.ndarray:
        """(rows,) the values of a column of numbers or booleans.

        Raises:
            KeyError: there is no such column.
            TypeError: the column holds something else, or a value is missing.
        """
        self._check_name(name)
        kind = self.schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise TypeError(f"{name}: a column of {kind} is not numeric; use column({name!r})")
        chunks = [batch.column(name) for batch in self._store.batches] or [pa.array([], kind)]
        if any(chunk.null_count for chunk in chunks):
            raise TypeError(f"{name}: values are missing; use column({name!r})")
        whole = np.concatenate([chunk.to_numpy(zero_copy_only=False) for chunk in chunks])
        return whole if self._indices is None else whole[self._indices]

    def fingerprint(self, without: Sequence[str] = ()) -> str:
        """SHA-256 (hex) of schema and values in row order, however they are chunked or stored.

        Args:
            without: names of columns that are left out.
        """
        pieces: Iterable[pa.RecordBatch] = self._store.batches
        if self._indices is not None:
            pieces = (piece for part in self._parts(GATHER_ROWS) for piece in self._store.in_order(part))
        names = [name for name in self.schema.names if name not in without]
        schema = pa.schema([self.schema.field(name) for name in names])
        return digest_batches(schema, (piece.select(names) for piece in pieces))

    def _resolve(self, indices: np.ndarray | Sequence[int]) -> np.ndarray:
        """Row numbers in this table -> row numbers in the store."""
        rows = np.asarray(indices)
        if not rows.size:
            rows = rows.astype(np.int64)
        if rows.dtype.kind not in "iu" or rows.ndim != 1:
            raise TypeError(f"indices: {rows.dtype} of rank {rows.ndim}; give a vector of integers")
        if rows.size and not (0 <= rows.min() and rows.max() < len(self)):
            raise IndexError(f"indices: {rows.min()} to {rows.max()} for a table of {len(self)} rows")
        return rows.astype(np.int64) if self._indices is None else self._indices[rows]

    def _parts(self, size: int) -> Iterator[np.ndarray]:
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            yield np.arange(start, stop) if self._indices is None else self._indices[start:stop]

    def _check_name(self, name: str) -> None:
        if name not in self.schema.names:
            raise KeyError(f"no column {name!r}; there are: {', '.join(self.schema.names)}")
