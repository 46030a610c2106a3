"""Rows of Arrow's own files (Feather, version 2) and streams, as the library `datasets` keeps them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kerasft.data.sources.parquet_rows import ROWS, SAMPLE, parts
from kerasft.data.sources.reading import Reading, Row
from kerasft.data.sources.signatures import refuse_signature
from kerasft.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

MAGIC = b"ARROW1"  # of a file; a stream has none


def read_arrow(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """Rows of an Arrow file or stream; the place is the row's number, from 1.

    Raises:
        UserError: the file is broken or another's, or a row is larger than one may be.
    """
    import pyarrow as pa

    start = stream.peek(SAMPLE)
    if not start.startswith(MAGIC):
        refuse_signature(start, name, whole=False)
    number = 0
    try:
        for batch in _batches(stream, start.startswith(MAGIC)):
            batch.validate(full=True)  # offsets of a broken file would be followed out of its memory
            for first in range(0, batch.num_rows, ROWS):
                for part in parts(batch.slice(first, ROWS), number, name, reading):
                    for values in part.to_pylist():
                        number += 1
                        yield values, f"{name}:{number}"
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise UserError(f"{name}:{number + 1}: broken Arrow: {reason}; write the file again") from error


def _batches(stream: io.BufferedReader, is_file: bool) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    if not is_file:
        yield from pa.ipc.open_stream(stream)
        return
    file = pa.ipc.open_file(stream)
    for index in range(file.num_record_batches):
        yield file.get_batch(index)
