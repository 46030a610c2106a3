"""Rows of JSON: one object a line, or one array of objects, read without holding more than one row."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator
from typing import IO, Any

from kerasft.data.sources.files import UTF8_BOM, decode_lines, not_utf8
from kerasft.errors import UserError

FIRST_READ = 1 << 16
ENDING_SLACK = 16  # characters of a token that the end of a buffer may cut: `tru`, `-1.5e`, `\ud83d`

LINE_ENDS = ("\n", "\r\n", "")

Row = tuple[dict[str, Any], str]


def read_json(stream: io.BufferedReader, name: str) -> Iterator[Row]:
    """JSON Lines, or an array of objects -> (values, place). Empty lines are skipped. Raises UserError."""
    start = stream.peek(FIRST_READ).removeprefix(UTF8_BOM).lstrip()
    return _read_array(stream, name) if start.startswith(b"[") else _read_lines(stream, name)


def _read_lines(stream: IO[bytes], name: str) -> Iterator[Row]:
    parser = json.JSONDecoder()
    for number, line in enumerate(decode_lines(stream, name), 1):
        try:
            # raw_decode spares two searches for white space, a quarter of the time; decode allows for any
            values, end = parser.raw_decode(line) if line[0] == "{" else (None, None)
            if end is None or line[end:] not in LINE_ENDS:
                values = parser.decode(line)
        except (ValueError, RecursionError) as error:
            if line.isspace():
                continue
            raise UserError(
                f"{name}:{number}: broken JSON: {_reason(error)}; write one whole object a line, or an array of objects"
            ) from error
        if type(values) is not dict:
            raise _not_object(f"{name}:{number}", values)
        if "\\ud" in line or "\\uD" in line:
            _check_surrogates(values, f"{name}:{number}")
        yield values, f"{name}:{number}"


def _read_array(stream: IO[bytes], name: str) -> Iterator[Row]:
    text = JsonText(stream, name)
    yield from text.objects()
    text.end("the array")


class JsonText:
    """A JSON text that is stepped through; only the part that is being looked at is held.

    Args:
        stream: of UTF-8.
        name: stands for it in places.
    """

    def __init__(self, stream: IO[bytes], name: str):
        self._stream, self._name = stream, name
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._parser = json.JSONDecoder()
        self._text, self._at, self._ended = "", 0, False
        self._line = 1  # of self._text[self._at]
        self._lines_read = 0

    def where(self) -> str:
        """FILE:LINE of the next token."""
        self.peek()
        return f"{self._name}:{self._line}"

    def peek(self) -> str:
        """The first character of the next token; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._advance(self._at + 1)
            if self._at < len(self._text) or not self._read(FIRST_READ):
                return self._text[self._at : self._at + 1]

    def take(self, token: str) -> None:
        """Steps over one character. Raises UserError if it is another."""
        found = self.peek()
        if found != token:
            shown = repr(found) if found else "the end of the file"
            raise UserError(f"{self.where()}: broken JSON: {shown} where {token!r} is expected; mend the array")
        self._advance(self._at + 1)

    def value(self) -> Any:
        """Steps over one value. Raises UserError."""
        self.peek()
        size = FIRST_READ
        while True:
            try:
                value, end = self._parser.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if self._is_cut(error) and self._read(size):
                    size *= 2  # a long value is parsed anew after each read: keep the number of reads logarithmic
                    continue
                raise UserError(f"{self.where()}: broken JSON: {_reason(error)}; mend the array") from error
            self._advance(end)
            return value

    def objects(self) -> Iterator[Row]:
        """Steps over an array of objects -> (object, place) of each. Raises UserError."""
        self.take("[")
        if self.peek() != "]":
            while True:
                where = self.where()
                values = self.value()
                if type(values) is not dict:
                    raise _not_object(where, values)
                _check_surrogates(values, where)
                yield values, where
                if self.peek() != ",":
                    break
                self.take(",")
        self.take("]")

    def end(self, what: str) -> None:
        """Raises UserError where something follows `what`."""
        if self.peek():
            raise UserError(f"{self.where()}: text after the end of {what}; remove it")

    def _is_cut(self, error: Exception) -> bool:
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - ENDING_SLACK

    def _advance(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end

    def _read(self, size: int) -> bool:
        """Appends about `size` bytes to the window, drops what lies behind; False at the end."""
        while not self._ended:
            data = self._stream.read(size)
            self._ended = not data
            try:
                text = self._decoder.decode(data, final=self._ended)
            except UnicodeDecodeError as error:
                line = self._lines_read + error.object.count(b"\n", 0, error.start) + 1
                raise not_utf8(f"{self._name}:{line}", error) from error
            self._lines_read += data.count(b"\n")
            if text:
                self._text, self._at = self._text[self._at :] + text, 0
                return True
        return False


def _not_object(where: str, value: Any) -> UserError:
    kind = {list: "an array", str: "a string", type(None): "null", bool: "true or false"}.get(type(value), "a number")
    return UserError(f'{where}: {kind} where an object is expected; write {{"COLUMN": VALUE, ...}}')


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _check_surrogates(values: dict[str, Any], where: str) -> None:
    """JSON can escape half a character (`\\ud83d` alone), which no UTF-8 text can hold."""
    try:
        json.dumps(values, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise UserError(f"{where}: {half} is half of a surrogate pair, not a character; remove it") from error
