"""Standard output, which may be a disk that is full: that is told, and is no failure of another file."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from kerasft.console.signals import left_terminal
from kerasft.errors import StorageError


class OutputError(StorageError):
    """Standard output takes no more."""


class StandardOutput:
    """Standard output, whose failures are told from those of files.

    Args:
        stream: that is written to, such as `sys.stdout`.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._failures():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._failures():
            self._stream.flush()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            if left_terminal(self._stream, error):
                return
            reason = f"standard output: {error.strerror}; what was printed is not complete"
            raise OutputError(reason) from error


def discard() -> None:
    """Writes nowhere from now on: what is still buffered would fail again when Python exits."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
