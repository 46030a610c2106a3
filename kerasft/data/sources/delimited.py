"""Rows of CSV, TSV and Orange .tab files. Every value is a string."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import chain
from typing import IO, Any

from kerasft.data.sources.files import decode_lines
from kerasft.errors import UserError

# A field larger than this is a quote that was never closed; without a limit it would swallow the rest of the file.
FIELD_CHARACTERS = 1 << 28

ORANGE_TYPE = re.compile(r"d|discrete|c|continuous|s|string|t|time|basket", re.IGNORECASE)
ORANGE_VALUES = re.compile(r"\S+( \S+)+")  # a discrete column may list its values instead of a type
ORANGE_FLAG = re.compile(r"(c|class|m|meta|i|ignore|w|weight|[\w-]+=\S+)( \S+=\S+)*", re.IGNORECASE)

Row = tuple[dict[str, Any], str]
Line = tuple[int, list[str]]


def read_csv(stream: IO[bytes], name: str) -> Iterator[Row]:
    """Comma-separated values with a header line -> (values, place). Raises UserError."""
    yield from _records(_rows(stream, name, ","), name)


def read_tsv(stream: IO[bytes], name: str) -> Iterator[Row]:
    """Tab-separated values with a header line -> (values, place). Raises UserError."""
    yield from _records(_rows(stream, name, "\t"), name)


def read_tab(stream: IO[bytes], name: str) -> Iterator[Row]:
    """Orange's .tab: three header lines (names, types, flags); without the last two it is a TSV. Raises UserError.

    Source: https://orange3.readthedocs.io/projects/orange-data-mining-library/en/latest/reference/data.io.html
    """
    rows = _rows(stream, name, "\t")
    head = [row for _, row in zip(range(3), rows)]
    if len(head) == 3 and _is_orange(head[1][1], head[2][1]):
        head = head[:1]
    yield from _records(chain(head, rows), name)


def _is_orange(types: list[str], flags: list[str]) -> bool:
    typed = [field for field in types if ORANGE_TYPE.fullmatch(field)]
    rest = [field for field in types if field and not ORANGE_TYPE.fullmatch(field)]
    return (
        bool(typed)
        and all(ORANGE_VALUES.fullmatch(field) for field in rest)
        and all(ORANGE_FLAG.fullmatch(field) for field in flags if field)
    )


def _rows(stream: IO[bytes], name: str, delimiter: str) -> Iterator[Line]:
    """(number of the row's first line, fields); an empty line has no fields."""
    csv.field_size_limit(FIELD_CHARACTERS)  # Python's own limit, 131,072, is shorter than a long document
    reader = csv.reader(decode_lines(stream, name), delimiter=delimiter, strict=True)
    while True:
        first = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(f"{name}:{first}: {_explain(str(error), delimiter)}") from error
        yield first, fields


def _explain(reason: str, delimiter: str) -> str:
    if "unexpected end of data" in reason or "field larger" in reason:
        return 'a quote that opens in this row is never closed; close it, or write "" for a quote in a quoted field'
    if "expected after" in reason:
        between = "tab" if delimiter == "\t" else "comma"
        return f'text follows a closing quote; write "" for a quote in a quoted field, or put a {between} there'
    return f"malformed row ({reason}); mend it"


def _records(rows: Iterator[Line], name: str) -> Iterator[Row]:
    header = next(((number, fields) for number, fields in rows if fields), None)
    if header is None:
        return
    names = header[1]
    _check_header(names, f"{name}:{header[0]}")
    width = len(names)
    for number, fields in rows:
        if width > 1 and not any(fields):
            continue  # separators alone are an empty line too; reuters-r52 has one
        if len(fields) == width:
            yield dict(zip(names, fields)), f"{name}:{number}"
        elif fields:
            raise UserError(
                f"{name}:{number}: {len(fields)} fields where the header has {width} ({', '.join(names)}); "
                "quote a text that holds a separator, or complete the row"
            )


def _check_header(names: list[str], where: str) -> None:
    for position, column in enumerate(names, 1):
        if not column.strip():
            raise UserError(f"{where}: column {position} of the header has no name; give it one")
        if names.index(column) != position - 1:
            raise UserError(f"{where}: the header names {column!r} twice; rename one of the columns")
