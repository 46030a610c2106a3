"""A JSON text that is stepped through, and what JSON may hold that a row may not."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator
from typing import Any

from kerasft.data.sources.encodings import not_utf8
from kerasft.data.sources.reading import Reading, Row
from kerasft.errors import UserError
from kerasft.quoting import quoted

FIRST_READ = 1 << 16
ENDING_SLACK = 16  # characters of a token that the end of a buffer may cut: `tru`, `-1.5e`, `\ud83d`
MAX_DEPTH = 100  # far from where Python's own recursion ends, in whatever is done with the value later


class JsonText:
    """A JSON text of which only the part that is being looked at is held.

    Args:
        stream: of UTF-8.
        name: stands for it in places.
        reading: how large a value may be.

    Attributes:
        bytes_read: from the stream until now.
    """

    def __init__(self, stream: io.BufferedReader, name: str, reading: Reading):
        self._stream, self._name, self._reading = stream, name, reading
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._parser = json.JSONDecoder()
        self._text, self._at, self._ended = "", 0, False
        self._line = 1  # of self._text[self._at]
        self._lines_read = 0
        self.bytes_read = 0

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
        character = self.peek()
        if character != token:
            description = repr(character) if character else "the end of the file"
            raise UserError(f"{self.where()}: broken JSON: {description} where {token!r} is expected; fix the file")
        self._advance(self._at + 1)

    def value(self) -> Any:
        """Steps over one value. Raises UserError: it is broken, too large or too deep."""
        self.peek()
        size = FIRST_READ
        while True:
            try:
                value, end = self._parser.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if self._is_cut(error) and self._fits(len(self._text)) and self._read(size):
                    size *= 2  # a long value is parsed anew after each read: keep the number of reads logarithmic
                    continue
                raise UserError(f"{self.where()}: broken JSON: {reason(error)}; fix the file") from error
            self._fits(end)
            check_depth(value, self._text, self._at, end, self.where())
            check_repeated(value, self._text, self._at, end, self.where())
            self._advance(end)
            return value

    def items(self) -> Iterator[str]:
        """Steps over an array -> FILE:LINE of each item, which the caller steps over. Raises UserError."""
        self.take("[")
        yield from self._until("]")

    def keys(self) -> Iterator[str]:
        """Steps over an object -> each key; the caller steps over its value. Raises UserError."""
        self.take("{")
        names = set()
        for where in self._until("}"):
            key = self.value()
            if not isinstance(key, str):
                raise UserError(f"{where}: broken JSON: a key that is no text; put it in double quotes")
            if key in names:
                raise repeated(key, where)
            names.add(key)
            self.take(":")
            yield key

    def objects(self) -> Iterator[Row]:
        """Steps over an array of objects -> (object, place) of each. Raises UserError."""
        for where in self.items():
            yield self.object(where), where

    def object(self, where: str) -> dict[str, Any]:
        """Steps over one value, which has to be an object. Raises UserError."""
        values = self.value()
        if type(values) is not dict:
            raise not_object(where, values)
        check_surrogates(values, where)
        return values

    def end(self, what: str) -> None:
        """Raises UserError where something follows `what`."""
        if self.peek():
            raise UserError(f"{self.where()}: text after the end of {what}; remove it")

    def _until(self, closing: str) -> Iterator[str]:
        if self.peek() != closing:
            while True:
                yield self.where()
                if self.peek() != ",":
                    break
                self.take(",")
        self.take(closing)

    def _fits(self, end: int) -> bool:
        """True; raises UserError where the value from here to `end` is larger than a row may be."""
        limit = self._reading.max_row_bytes
        if end - self._at > limit // 4:  # characters have four bytes at most
            self._reading.check_size(len(self._text[self._at : end].encode("utf-8", "replace")), self.where())
        return True

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
            self.bytes_read += len(data)
            if text:
                self._text, self._at = self._text[self._at :] + text, 0
                return True
        return False


def not_object(where: str, value: Any) -> UserError:
    """The error for a value that is no row."""
    kind = {list: "an array", str: "a string", type(None): "null", bool: "true or false"}.get(type(value), "a number")
    return UserError(f'{where}: {kind} where an object is expected; write {{"COLUMN": VALUE, ...}}')


def reason(error: Exception) -> str:
    """Why a JSON text was refused, in a few words."""
    if isinstance(error, json.JSONDecodeError):
        before = error.doc[: error.pos].rstrip()
        # Python 3.13 names the place of the comma, others that of the bracket.
        comma = error.pos if error.doc[error.pos : error.pos + 1] == "," else len(before) - 1
        end = len(error.doc) - len(error.doc[comma + 1 :].lstrip())
        if error.doc[comma : comma + 1] == "," and error.doc[end : end + 1] in ("]", "}"):
            return f"a comma stands before {error.doc[end]} at character {end - error.doc.rfind(chr(10), 0, end)}"
        ended = error.pos >= len(error.doc)  # the end of a line is a place in that line, not the first of the next
        column = len(before) - before.rfind("\n") if ended else error.colno
        return f"{error.msg} at character {column}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "a number of thousands of digits" if "digits" in str(error) else str(error)


def check_depth(value: Any, text: str, start: int, end: int, where: str) -> None:
    """Raises UserError where a value that was parsed from text[start:end] is nested deeper than `MAX_DEPTH`."""
    if text.count("[", start, end) + text.count("{", start, end) <= MAX_DEPTH:
        return
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = [item.values() if isinstance(item, dict) else item for item in level]
        level = [item for items in inner for item in items if isinstance(item, (dict, list))]
        if not level:
            return
    raise UserError(f"{where}: broken JSON: nested too deeply, more than {MAX_DEPTH} levels; a row is flat")


def check_repeated(value: Any, text: str, start: int, end: int, where: str) -> None:
    """Raises UserError where an object parsed from text[start:end] has a key twice; Python would keep the last."""
    if not isinstance(value, (dict, list)):
        return
    keys = len(value) if isinstance(value, dict) else 0
    if text.count(":", start, end) == keys:  # each key has a colon, and a key that was lost has left one
        return

    def once(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            raise repeated(next(name for index, name in enumerate(names) if name in names[:index]), where)

    json.JSONDecoder(object_pairs_hook=once).raw_decode(text, start)


def repeated(key: str, where: str) -> UserError:
    """The error for a key that an object has twice."""
    return UserError(f"{where}: the key {quoted(key)} is twice in one object; keep one")


def check_surrogates(values: dict[str, Any], where: str) -> None:
    """JSON can escape half a character (`\\ud83d` alone), which no UTF-8 text can hold."""
    try:
        json.dumps(values, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise UserError(f"{where}: {half} is half of a surrogate pair, not a character; remove it") from error
