"""The newest few checkpoints of a folder, each one whole and unchanged or passed over."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from kerasft.errors import StorageError

_BLOCK = 1 << 24  # bytes that are hashed at once


@dataclass(frozen=True)
class Entry:
    """A checkpoint that was written to its end.

    Attributes:
        prefix: of its files, as TensorFlow wants it.
        number: its place in the order of writing.
        step: after which it was written.
    """

    prefix: str
    number: int
    step: int


class CheckpointStore:
    """Writes checkpoints so that a kill between any two system calls leaves the ones before as they were.

    A checkpoint is TensorFlow's files under a number that no other has, and then a manifest with their SHA-256, which
    is renamed into place. Without a manifest there is no checkpoint; files that do not match theirs are damaged.

    Args:
        folder: local or gs://.
        checkpoint: what is kept.
        keep: how many stay.
        written_by: the device whose machine reads and writes; None: each variable's own.
    """

    def __init__(self, folder: str, checkpoint: tf.train.Checkpoint, keep: int, writer: str | None = None):
        self.folder, self.checkpoint, self.keep = folder, checkpoint, keep
        self._options = tf.train.CheckpointOptions(experimental_io_device=writer)

    def save(self, step: int) -> None:
        """Raises StorageError where the place is full, gone or not to be written."""
        number = 1 + max(self._numbers(), default=0)
        prefix = f"{self.folder}/ckpt-{number}"
        try:
            if not tf.io.gfile.isdir(self.folder):  # TensorFlow would make it again, without what else was in it
                raise StorageError(f"{self.folder} is gone, so nothing can be saved there; start again")
            self.checkpoint.write(prefix, self._options)
            manifest = {"step": step, "sha256": {_name(path): _sha256(path) for path in self._files(number)}}
            with tf.io.gfile.GFile(f"{prefix}.tmp", "w") as file:
                file.write(json.dumps(manifest))
            tf.io.gfile.rename(f"{prefix}.tmp", f"{prefix}.json", overwrite=True)
        except (tf.errors.OpError, OSError) as error:
            self._remove(number)
            raise StorageError(
                f"{prefix} can't be written ({_reason(error)}); the checkpoints before it are as they were: fix that "
                f"and go on with --resume"
            ) from error
        complete = [number for number in self._numbers() if self._manifest(number) is not None]
        for number in self._numbers():
            if number not in complete[-self.keep :]:
                self._remove(number)

    def entries(self) -> tuple[list[Entry], list[str]]:
        """The checkpoints that are whole, newest first, and what is wrong with those that are not."""
        good, damaged = [], []
        for number in reversed(self._numbers()):
            manifest = self._manifest(number)
            if manifest is None:
                continue  # it was killed before its end, and is none
            wrong = self._wrong(number, manifest)
            if wrong:
                damaged.append(f"{self.folder}/{wrong}")
            else:
                good.append(Entry(f"{self.folder}/ckpt-{number}", number, manifest["step"]))
        return good, damaged

    def read(self, entry: Entry) -> Any:
        """Restores what is kept; TensorFlow's status object, which can be asked whether all was there."""
        return self.checkpoint.read(entry.prefix, self._options)

    def discard_after(self, entry: Entry) -> None:
        """Removes what a newer checkpoint that is not whole has left: it would take the place of one that is."""
        for number in self._numbers():
            if number > entry.number:
                self._remove(number)

    def _wrong(self, number: int, manifest: dict[str, Any]) -> str | None:
        for name, digest in manifest["sha256"].items():
            path = f"{self.folder}/{name}"
            if not tf.io.gfile.exists(path):
                return f"{name} is missing"
            if _sha256(path) != digest:
                return f"{name} is damaged"
        return None

    def _manifest(self, number: int) -> dict[str, Any] | None:
        path = f"{self.folder}/ckpt-{number}.json"
        if not tf.io.gfile.exists(path):
            return None
        with tf.io.gfile.GFile(path) as file:
            try:
                return json.loads(file.read())
            except ValueError:
                return {"step": -1, "sha256": {f"ckpt-{number}.json": "not JSON"}}

    def _numbers(self) -> list[int]:
        if not tf.io.gfile.isdir(self.folder):
            return []
        parts = (name[5:].split(".")[0] for name in tf.io.gfile.listdir(self.folder) if name.startswith("ckpt-"))
        return sorted({int(part) for part in parts if part.isdecimal()})

    def _files(self, number: int) -> list[str]:
        return sorted(tf.io.gfile.glob(f"{self.folder}/ckpt-{number}.*"))

    def _remove(self, number: int) -> None:
        """The manifest first: what is left, should it end here, is no checkpoint."""
        manifest = f"{self.folder}/ckpt-{number}.json"
        try:
            if tf.io.gfile.exists(manifest):
                tf.io.gfile.remove(manifest)
            for path in self._files(number):
                tf.io.gfile.remove(path)
            for path in tf.io.gfile.glob(f"{self.folder}/ckpt-{number}_temp*"):
                tf.io.gfile.rmtree(path)
        except tf.errors.OpError:
            pass  # a folder that is gone has nothing to be tidied; the error that led here is the one to tell


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _reason(error: tf.errors.OpError | OSError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # the last part of "path; No space left on device", without TensorFlow's own notes
    return error.message.split("\n")[0].split(" [Op:")[0].rsplit("; ", 1)[-1]
