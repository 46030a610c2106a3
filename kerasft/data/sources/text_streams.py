"""Streams of text as readers take them: UTF-8 with line feeds, whatever the file is written in, line by line."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from kerasft.data.sources.encodings import LineFeeds, Transcoded, guess_encoding, is_utf8, not_utf8
from kerasft.data.sources.files import BUFFER_BYTES, open_bytes
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.signatures import refuse_signature
from kerasft.errors import UserError

UTF8_BOM = b"\xef\xbb\xbf"


@contextmanager
def open_text(path: str, name: str, reading: Reading, format: str) -> Iterator[io.BufferedReader]:
    """`as_text` of a file; `name` stands for it in places. Raises UserError."""
    with open_bytes(path) as stream:
        yield as_text(stream, name, reading, format)


def as_text(stream: io.BufferedReader, name: str, reading: Reading, format: str) -> io.BufferedReader:
    """A stream of bytes -> one of UTF-8. What is guessed is remarked.

    Args:
        stream: at its beginning.
        name: of the file.
        reading: an encoding, or `auto`.
        format: of the file; of a `document`, line ends are left as they are.

    Raises:
        UserError: it begins as something does that is no text.
    """
    start = stream.peek(BUFFER_BYTES)
    refuse_signature(start, name, whole=format in ("txt", "document", "folder"))
    encoding = reading.encoding
    if encoding == "auto":
        encoding = guess_encoding(start) or "utf-8"
        if not is_utf8(encoding):
            reading.remark(f"{name}: read as {encoding.upper()}, by its first bytes (data.encoding names another)")
    if reading.decoding is not None:
        reading.decoding.encodings["utf-8" if is_utf8(encoding) else encoding] += 1
    if not is_utf8(encoding):
        stream = io.BufferedReader(Transcoded(stream, encoding, name), BUFFER_BYTES)
        start = stream.peek(BUFFER_BYTES)
    if format != "document" and b"\r" in start and b"\n" not in start:
        reading.remark(f"{name}: lines end with carriage returns alone, as on an old Mac")
        stream = io.BufferedReader(LineFeeds(stream), BUFFER_BYTES)
    return stream


def read_lines(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[str]:
    """The lines of a UTF-8 stream with their line ends, a BOM dropped.

    Raises:
        UserError: a line is longer than a row may be, is not UTF-8, or has a zero byte; with its number.
    """
    limit, number = reading.max_row_bytes, 0
    while line := stream.readline(limit + 1):
        number += 1
        if len(line) > limit:
            raise reading.too_large(f"{name}:{number}")
        if number == 1:
            line = line.removeprefix(UTF8_BOM)
        if reading.decoding is not None and number > 1:  # a first line may be the names of columns
            text = reading.decoding.decode(line, name, number)
        else:
            text = _decoded(line, f"{name}:{number}")
        if "\0" in text:
            raise zero_byte(f"{name}:{number}")
        yield text


def _decoded(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(where, error) from error


def read_whole(stream: io.BufferedReader, name: str, reading: Reading) -> str:
    """All of a UTF-8 stream as one text, a BOM dropped. Raises UserError as `read_lines` does."""
    data = stream.read(reading.max_row_bytes + 1)
    reading.check_size(len(data), name)
    data = data.removeprefix(UTF8_BOM)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(f"{name}:{_line(data, error.start)}", error) from error
    if "\0" in text:
        raise zero_byte(f"{name}:{_line(data, data.index(0))}")
    return text


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def zero_byte(where: str) -> UserError:
    """The error for a zero byte in a text, which a damaged disk or a program that died leaves behind."""
    return UserError(f"{where}: a zero byte, which no text has; the file is damaged or binary: write it again")
