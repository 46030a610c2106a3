"""A SHA-256 over Arrow values that does not depend on how they are chunked, padded or sliced."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

OFFSETS = {
    pa.string(): np.int32,
    pa.binary(): np.int32,
    pa.large_string(): np.int64,
    pa.large_binary(): np.int64,
}


def digest_batches(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> str:
    """SHA-256 (hex) of the columns' names, types and values.

    Every column feeds streams of its own (which values are present, lengths, contents), so that where one batch
    ends and the next begins leaves no trace.
    """
    streams: defaultdict[str, hashlib._Hash] = defaultdict(hashlib.sha256)
    for batch in batches:
        for position, array in enumerate(batch.columns):
            _feed(streams, f"{position}", array)
    whole = hashlib.sha256()
    for field in schema:
        whole.update(f"{field.name!r}: {field.type}\n".encode())
    for path in sorted(streams):
        whole.update(path.encode() + streams[path].digest())
    return whole.hexdigest()


def _feed(streams: defaultdict, path: str, array: pa.Array) -> None:
    if not len(array):
        return
    streams[f"{path}.present"].update(np.asarray(array.is_valid()).astype(np.uint8))
    present = array.drop_null() if array.null_count else array
    kind = array.type
    if not len(present):
        return
    if kind in OFFSETS:
        _, offsets, contents = present.buffers()
        bounds = np.frombuffer(offsets, OFFSETS[kind])[present.offset : present.offset + len(present) + 1]
        streams[f"{path}.lengths"].update(np.diff(bounds).astype("<i8"))
        if contents is not None:
            streams[f"{path}.contents"].update(memoryview(contents)[bounds[0] : bounds[-1]])
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        streams[f"{path}.lengths"].update(present.value_lengths().to_numpy(zero_copy_only=False).astype("<i8"))
        _feed(streams, f"{path}.items", present.flatten())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        streams[f"{path}.values"].update(np.ascontiguousarray(present.to_numpy(zero_copy_only=False)))
    else:
        for value in present:
            streams[f"{path}.values"].update(f"{value.as_py()!r}\n".encode())
