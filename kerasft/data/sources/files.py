"""Files and folders, on this machine or behind a URL that tf.io.gfile reads (gs://, s3://, ...).

TensorFlow is imported only for a path with `://`.
"""

from __future__ import annotations

import difflib
import glob
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from kerasft.errors import UserError

BUFFER_BYTES = 1 << 20
UTF8_BOM = b"\xef\xbb\xbf"


def is_remote(path: str) -> bool:
    """Whether only tf.io.gfile can read the path."""
    return "://" in path


@contextmanager
def file_errors(path: str) -> Iterator[None]:
    """Turns what the file system and gzip raise into UserError that names `path`."""
    kinds: tuple[type[BaseException], ...] = (OSError, EOFError, zlib.error)
    if is_remote(path):
        import tensorflow as tf

        kinds += (tf.errors.OpError,)
    try:
        yield
    except kinds as error:
        if isinstance(error, (gzip.BadGzipFile, EOFError, zlib.error)):
            raise UserError(f"{path}: broken gzip data ({error}); compress the file again, or drop .gz") from error
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
        raise UserError(f"{path}: cannot be read: {reason}; check the path and its permissions") from error


@contextmanager
def open_bytes(path: str) -> Iterator[IO[bytes]]:
    """A buffered binary stream over a file, decompressed where it ends in .gz. Raises UserError."""
    with file_errors(path):
        raw: io.RawIOBase = _RemoteFile(path) if is_remote(path) else io.FileIO(path)
        with io.BufferedReader(raw, BUFFER_BYTES) as stream:
            if not path.endswith(".gz"):
                yield stream
                return
            with io.BufferedReader(gzip.GzipFile(fileobj=stream), BUFFER_BYTES) as unpacked:
                yield unpacked


def decode_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    """The lines of a UTF-8 stream with their line ends, a BOM dropped. Raises UserError with the line's number."""
    for number, line in enumerate(stream, 1):
        if number == 1:
            line = line.removeprefix(UTF8_BOM)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(f"{name}:{number}", error) from error
        yield text


def not_utf8(where: str, error: UnicodeDecodeError) -> UserError:
    """The error for bytes that are not UTF-8."""
    byte = error.object[error.start]
    return UserError(f"{where}: byte 0x{byte:02x} is not UTF-8 ({error.reason}); save the file as UTF-8")


def is_folder(path: str) -> bool:
    """Whether the path is a folder. Raises UserError where a remote file system does not answer."""
    if not is_remote(path):
        return os.path.isdir(path)
    import tensorflow as tf

    with file_errors(path):
        return tf.io.gfile.isdir(path)


def names_in(folder: str) -> list[str]:
    """The names in a folder, sorted, hidden ones left out. Raises UserError."""
    with file_errors(folder):
        if not is_remote(folder):
            names = os.listdir(folder)
        else:
            import tensorflow as tf

            names = [name.rstrip("/") for name in tf.io.gfile.listdir(folder)]
    return sorted(name for name in names if not name.startswith("."))


def expand(path: str) -> list[str]:
    """A path or a glob -> the paths it stands for, sorted; a glob stands for folders only where no file matches.

    Raises:
        UserError: nothing is there; it names the nearest thing that is.
    """
    path = os.path.expanduser(path)
    if path.startswith(("http://", "https://")):
        raise UserError(f"{path}: a web address; download it and give the local file")
    if _exists(path):
        return [path]
    if not glob.has_magic(path):
        raise UserError(f"{path}: not found; {_nearest(path)}")
    found = sorted(_glob(path))
    if not found:
        raise UserError(f"{path}: no file matches; {_nearest(path.split('*')[0].split('?')[0].split('[')[0])}")
    return [match for match in found if not is_folder(match)] or found


def _exists(path: str) -> bool:
    if not is_remote(path):
        return os.path.exists(path)
    import tensorflow as tf

    with file_errors(path):
        return tf.io.gfile.exists(path)


def _glob(pattern: str) -> list[str]:
    if not is_remote(pattern):
        return glob.glob(pattern, recursive=True)
    import tensorflow as tf

    with file_errors(pattern):
        return tf.io.gfile.glob(pattern)


def _nearest(path: str) -> str:
    """What a user may have meant by a path that is not there."""
    folder, name = os.path.split(path.rstrip("/"))
    if is_remote(path):
        return "check the path and your access to it"
    while not os.path.isdir(folder or "."):
        folder, name = os.path.split(folder)
    names = names_in(folder or ".")
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {os.path.join(folder, near[0])}?"
    there = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return f"{folder or 'this folder'} holds {there or 'nothing'}"


class _RemoteFile(io.RawIOBase):
    """tf.io.gfile.GFile as a raw stream, so that Python's own buffering reads lines out of it."""

    def __init__(self, path: str):
        import tensorflow as tf

        self._file = tf.io.gfile.GFile(path, "rb")
        self._size = self._file.size()  # also opens the file, so that a missing one is known here

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._file.tell(), io.SEEK_END: self._size}[whence]
        self._file.seek(base + offset)
        return base + offset

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
