"""Files and folders, on this machine or behind a URL that tf.io.gfile reads (gs://, s3://, ...).

TensorFlow is imported only for a path with `://`.
"""

from __future__ import annotations

import difflib
import glob
import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from kerasft.data.sources.unpack import MAX_RATIO
from kerasft.errors import NotFound, UserError

BUFFER_BYTES = 1 << 20
SMALL_BYTES = 8 << 20  # up to this, gzip data may be of any ratio
_IRREGULAR = (
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


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
def open_bytes(path: str) -> Iterator[io.BufferedReader]:
    """A buffered binary stream over a file, decompressed where it ends in .gz, in any case.

    Raises:
        UserError: it is not a regular file, can't be read, or is no gzip data or far more than it should come to.
    """
    check_regular(path)
    with file_errors(path):
        with _buffered(_RemoteFile(path) if is_remote(path) else io.FileIO(path)) as stream:
            if not path.lower().endswith(".gz"):
                yield stream
                return
            with _buffered(_Unpacked(stream, path)) as unpacked:
                yield unpacked


def _buffered(raw: io.RawIOBase | gzip.GzipFile) -> io.BufferedReader:
    return io.BufferedReader(raw, BUFFER_BYTES)


def check_regular(path: str) -> None:
    """Raises UserError for what is no file or folder of data: a device, a pipe, a socket, which may never end."""
    if is_remote(path):
        return
    with file_errors(path):
        mode = os.stat(path).st_mode
    what = next((name for test, name in _IRREGULAR if test(mode)), None)
    if what is not None:
        raise UserError(f"{path}: {what}, not a file; data is read more than once: write it to a file and name that")


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
        raise NotFound(f"{path}: not found; {_nearest(path)}")
    matches = sorted(_glob(path))
    if not matches:
        raise NotFound(f"{path}: no file matches; {_nearest(path.split('*')[0].split('?')[0].split('[')[0])}")
    return [match for match in matches if not is_folder(match)] or matches


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


class _Unpacked(gzip.GzipFile):
    """Gzip data that is given up once it comes to more than text does."""

    def __init__(self, stream: io.BufferedReader, path: str):
        super().__init__(fileobj=stream)
        self._packed, self._path = stream, path

    def readinto(self, buffer) -> int:
        size = super().readinto(buffer)
        if self.tell() > max(SMALL_BYTES, MAX_RATIO * self._packed.tell()):
            raise UserError(
                f"{self._path}: unpacks to more than {MAX_RATIO} times its size, like a gzip bomb; unpack it by hand "
                "if you trust it"
            )
        return size


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
