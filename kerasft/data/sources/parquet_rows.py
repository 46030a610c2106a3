"""Rows of Parquet, some hundred at a time and never more bytes of them than a few rows may have."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from kerasft.data.sources.reading import Reading, Row
from kerasft.data.sources.signatures import refuse_signature
from kerasft.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 1024  # that are decoded at a time
MAGIC = b"PAR1"
SAMPLE = 1 << 16


def read_parquet(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """Rows of a Parquet file; the place is the row's number, from 1.

    Strings are read as dictionaries: a file of some kilobytes can hold a text of megabytes once and name it in every
    row, and would not fit into memory when written out.

    Raises:
        UserError: the file is broken or another's, or a row is larger than one may be.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    start = stream.peek(SAMPLE)
    if not start.startswith(MAGIC):
        refuse_signature(start, name, whole=False)
    number = 0
    try:
        file = pq.ParquetFile(stream)
        strings = [field.name for field in file.schema_arrow if _is_text(field.type)]
        stream.seek(0)
        file = pq.ParquetFile(stream, read_dictionary=strings)
        _check_groups(file, name, reading)
        for batch in file.iter_batches(batch_size=ROWS):
            for part in parts(batch, number, name, reading):
                for values in part.to_pylist():
                    number += 1
                    yield values, f"{name}:{number}"
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise UserError(f"{name}:{number + 1}: broken Parquet: {reason}; write the file again") from error


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _check_groups(file, name: str, reading: Reading) -> None:
    """Refuses a group of rows that are, by their mean, larger than one may be, before it is read."""
    first = 1
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        if group.num_rows:
            reading.check_size(group.total_byte_size // group.num_rows, f"{name}:{first}")
        first += group.num_rows


def parts(batch: pa.RecordBatch, before: int, name: str, reading: Reading) -> Iterator[pa.RecordBatch]:
    """A batch in parts of at most `max_row_bytes`, each at least a row."""
    ends = np.cumsum(_row_sizes(batch))
    start, bytes_before = 0, 0
    while start < batch.num_rows:
        end = int(np.searchsorted(ends, bytes_before + reading.max_row_bytes, side="right"))
        if end == start:
            raise reading.too_large(f"{name}:{before + start + 1}")
        yield _without_dictionaries(batch.slice(start, end - start))
        start, bytes_before = end, ends[end - 1]


def _without_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch without dictionaries, whose values are slow to take one by one."""
    import pyarrow as pa

    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _row_sizes(batch: pa.RecordBatch) -> np.ndarray:
    """(rows,) about how many bytes each row has."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        sizes += _sizes(column)
    return sizes


def _sizes(array: pa.Array) -> np.ndarray:
    """(rows,) bytes of each value; of nested values the mean of the array."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(array.type):
        each = _sizes(array.dictionary)
        indices = pc.fill_null(array.indices, 0).to_numpy(zero_copy_only=False)
        return each[indices] if len(each) else np.zeros(len(array), np.int64)
    if _is_text(array.type):
        return pc.fill_null(pc.binary_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.full(len(array), array.nbytes // max(1, len(array)), np.int64)
