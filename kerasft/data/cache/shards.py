"""Arrays as shards of TFRecords, on any file system that TensorFlow writes to, and back with every bit checked."""

from __future__ import annotations

import hashlib
import itertools
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import numpy as np
import tensorflow as tf

from kerasft.data.prepared.prepared import TokenStore

PIECE_BYTES = 1 << 20  # of a record
SHARD_RECORDS = 64  # of a shard, so that one fits into memory while its digest is taken
BUFFER_BYTES = 8 << 20
PART = "part-"  # what a shard is called until it is whole
FORGOTTEN_SECONDS = 24 * 3600  # after which a part is that of a run that was killed


class Damaged(Exception):
    """What is there is not what was written."""


class Shard(NamedTuple):
    """A file of records.

    Attributes:
        name: in its folder; made of the digest, so that two writers of the same arrays write the same files.
        sha256: of all its records, one after the other.
        bytes: of all its records together, without TFRecord's framing.
    """

    name: str
    sha256: str
    bytes: int


class Form(NamedTuple):
    """What an array is, beside its values.

    Attributes:
        dtype: in NumPy's letters, with the order of bytes.
        shape: as it was.
        alike: whether all values are the first one, which alone is stored.
    """

    dtype: str
    shape: tuple[int, ...]
    alike: bool

    @classmethod
    def of(cls, array: np.ndarray) -> Form:
        return cls(array.dtype.str, array.shape, array.size > 0 and not any(array.strides))

    @property
    def stored_bytes(self) -> int:
        """Bytes of the values in the shards."""
        values = 1 if self.alike else int(np.prod(self.shape, dtype=np.int64))
        return values * np.dtype(self.dtype).itemsize


def write_arrays(folder: str, arrays: Sequence[np.ndarray]) -> list[Shard]:
    """Writes arrays to a folder that is there; a shard has its name only once it is whole.

    Args:
        folder: local or a URL such as gs://BUCKET/FOLDER.
        arrays: of numbers or booleans; they may be mapped from files, and larger than the memory.

    Raises:
        tensorflow.errors.OpError: the folder can't be written.
    """
    _remove_forgotten(folder)
    pieces, shards = (piece for array in arrays for piece in _pieces(array)), []
    while records := list(itertools.islice(pieces, SHARD_RECORDS)):
        digest = hashlib.sha256()
        for record in records:
            digest.update(record)
        sha256 = digest.hexdigest()
        part, name = f"{folder}/{PART}{secrets.token_hex(8)}", f"{sha256[:32]}.tfrecord"
        with tf.io.TFRecordWriter(part) as writer:
            for record in records:
                writer.write(record)
        tf.io.gfile.rename(part, f"{folder}/{name}", overwrite=True)
        shards.append(Shard(name, sha256, sum(map(len, records))))
    return shards


def read_arrays(folder: str, shards: Sequence[Shard], forms: Sequence[Form]) -> list[np.ndarray]:
    """What `write_arrays` wrote, mapped from nameless temporary files.

    Raises:
        Damaged: a shard is gone, cut short or changed.
        tensorflow.errors.OpError: the folder can't be read.
    """
    records = (record for shard in shards for record in _checked(folder, shard))
    arrays = [_array(form, records) for form in forms]
    if next(records, None) is not None:  # asked for also because the last shard's digest is known at its end alone
        raise Damaged("a record too many")
    return arrays


def _pieces(array: np.ndarray) -> Iterator[bytes]:
    form = Form.of(array)
    flat = array.reshape(-1)[:1] if form.alike else array.reshape(-1)
    size = max(1, PIECE_BYTES // array.dtype.itemsize)
    for start in range(0, len(flat), size):
        yield np.ascontiguousarray(flat[start : start + size]).tobytes()


def _checked(folder: str, shard: Shard) -> Iterator[bytes]:
    """The records of a shard; what they are is only sure once all have come."""
    digest = hashlib.sha256()
    try:
        records = tf.data.TFRecordDataset(f"{folder}/{shard.name}", buffer_size=BUFFER_BYTES)
        for record in cast(Iterator[bytes], records.as_numpy_iterator()):  # of strings it makes bytes, not arrays
            digest.update(record)
            yield record
    except (tf.errors.NotFoundError, tf.errors.DataLossError, tf.errors.OutOfRangeError) as error:
        raise Damaged(shard.name) from error
    if digest.hexdigest() != shard.sha256:
        raise Damaged(shard.name)


def _array(form: Form, records: Iterator[bytes]) -> np.ndarray:
    dtype, missing = np.dtype(form.dtype), form.stored_bytes
    if not missing:
        return np.empty(form.shape, dtype)
    store = TokenStore(dtype)
    while missing > 0:
        record = next(records, None)
        if record is None:
            raise Damaged("its end")
        store.append(np.frombuffer(record, np.uint8))
        missing -= len(record)
    if missing:
        raise Damaged("a record")
    values = np.asarray(store.values())
    return np.broadcast_to(values[0], form.shape) if form.alike else values.reshape(form.shape)


def _remove_forgotten(folder: str) -> None:
    for name in tf.io.gfile.listdir(folder):
        if not name.startswith(PART):
            continue
        try:
            if time.time() - tf.io.gfile.stat(f"{folder}/{name}").mtime_nsec / 1e9 > FORGOTTEN_SECONDS:
                tf.io.gfile.remove(f"{folder}/{name}")
        except tf.errors.NotFoundError:
            pass  # its writer gave it a name, or another run removed it
