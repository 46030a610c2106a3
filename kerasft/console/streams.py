"""Streams of text as they are written to: standard output, standard error, a terminal that may be gone."""

from __future__ import annotations

import os
from typing import TextIO

from kerasft.console.signals import left_terminal


def write(stream: TextIO, text: str) -> None:
    """Writes at once, with escapes for what the stream's encoding lacks; to a terminal that is gone, nowhere."""
    # A label in Chinese must not end a run on a terminal that knows ASCII only.
    if not can_write(stream, text):
        encoding = stream.encoding or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        if not left_terminal(stream, error):
            raise


def can_write(stream: TextIO, text: str) -> bool:
    """Whether the stream's encoding has every character."""
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def width_of(stream: TextIO) -> int:
    """Columns of the terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:  # a stream without a descriptor
        return 80
