"""Rows of CSV, TSV and Orange .tab files. Every value is a string."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterator
from itertools import chain

from kerasft.data.sources.quotes import explain_row, holds_rows, swallowed
from kerasft.data.sources.reading import Reading, Row
from kerasft.data.sources.text_streams import read_lines
from kerasft.errors import UserError
from kerasft.quoting import listed, quoted

DELIMITERS = (",", "\t", ";", "|")
NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
INDEX = "Unnamed: 0"  # as pandas calls the column that it wrote without a name
EXCEL_FIRST_LINE = re.compile(r"sep=(.)\r?\n?")

_ROW_NUMBER = re.compile(r'\d+\W|"\d+"')
ORANGE_TYPE = re.compile(r"d|discrete|c|continuous|s|string|t|time|basket", re.IGNORECASE)
ORANGE_VALUES = re.compile(r"\S+( \S+)+")  # a discrete column may list its values instead of a type
ORANGE_FLAG = re.compile(r"(c|class|m|meta|i|ignore|w|weight|[\w-]+=\S+)( \S+=\S+)*", re.IGNORECASE)

Line = tuple[int, list[str], tuple[str, ...]]  # number of the first line, fields, and the lines as they stand


def read_csv(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """Comma-separated values with a header line -> (values, place). Raises UserError."""
    yield from _records(Rows(stream, name, reading, ","))


def read_tsv(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """Tab-separated values with a header line -> (values, place). Raises UserError."""
    yield from _records(Rows(stream, name, reading, "\t"))


def read_tab(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """Orange's .tab: three header lines (names, types, flags); without the last two it is a TSV. Raises UserError.

    Source: https://orange3.readthedocs.io/projects/orange-data-mining-library/en/latest/reference/data.io.html
    """
    rows = Rows(stream, name, reading, "\t")
    head = [row for _, row in zip(range(3), rows)]
    if len(head) == 3 and _is_orange(head[1][1], head[2][1]):
        head = head[:1]
    yield from _records(rows, head)


def _is_orange(types: list[str], flags: list[str]) -> bool:
    typed = [field for field in types if ORANGE_TYPE.fullmatch(field)]
    rest = [field for field in types if field and not ORANGE_TYPE.fullmatch(field)]
    return (
        bool(typed)
        and all(ORANGE_VALUES.fullmatch(field) for field in rest)
        and all(ORANGE_FLAG.fullmatch(field) for field in flags if field)
    )


class Rows:
    """An iterator of rows: number of the first line, fields, and the lines themselves. An empty line has no fields.

    Args:
        stream: of UTF-8.
        name: of the file.
        reading: delimiter and quoting, either of which may be `auto`.
        usual: the delimiter of the format.

    Attributes:
        delimiter: that of the file.
    """

    def __init__(self, stream: io.BufferedReader, name: str, reading: Reading, usual: str):
        self.name, self.reading = name, reading
        self._lines: list[str] = []  # of the row that is being read
        source = read_lines(stream, name, reading)
        head = self._head(source)
        self.delimiter = self._delimiter(head, usual)
        if head and EXCEL_FIRST_LINE.fullmatch(head[-1]):
            head[-1] = "\n"  # an instruction to Excel, not a row
        # Without a limit of its own csv has 131,072 characters a field, which is shorter than a long document.
        csv.field_size_limit(max(csv.field_size_limit(), 1 << 31))
        self._reader = csv.reader(
            self._counted(chain(head, source)),
            delimiter=self.delimiter,
            strict=True,
            quoting=csv.QUOTE_NONE if reading.quoting == "none" else csv.QUOTE_MINIMAL,
        )

    def __iter__(self) -> Rows:
        return self

    def __next__(self) -> Line:
        first = self._reader.line_num + 1
        self._lines.clear()
        try:
            fields = next(self._reader)
        except csv.Error as error:
            what = explain_row(str(error), self.delimiter, len(self._lines))
            raise UserError(f"{self.name}:{first}: {what}") from error
        return first, fields, tuple(self._lines)

    def _head(self, source: Iterator[str]) -> list[str]:
        """The lines up to the first that is not empty."""
        lines = []
        for line in source:
            lines.append(line)
            if line.strip():
                break
        return lines

    def _counted(self, source: Iterator[str]) -> Iterator[str]:
        """The lines, each kept until its row is whole, and no more of them than a row may have."""
        lines, size = self._lines, 0
        for number, line in enumerate(source, 1):
            size = size + len(line.encode("utf-8")) if lines else 0
            lines.append(line)
            if size > self.reading.max_row_bytes:
                where = f"{self.name}:{number - len(lines) + 1}"
                raise self.reading.too_large(where, " (is a quote opened here that is never closed?)")
            yield line

    def _delimiter(self, head: list[str], usual: str) -> str:
        setting, header = self.reading.delimiter, head[-1] if head else ""
        excel_line = EXCEL_FIRST_LINE.fullmatch(header)
        if excel_line and setting == "auto":
            return excel_line[1]
        if setting != "auto" or _fields(header, usual) > 1:
            return usual if setting == "auto" else setting
        best = max(DELIMITERS, key=lambda delimiter: _fields(header, delimiter))
        if _fields(header, best) < 2:
            return usual
        self.reading.remark(
            f"{self.name}: {NAMES[best]} separate the fields, by its header (data.delimiter names another)"
        )
        return best


def _fields(header: str, delimiter: str) -> int:
    """Into how many named fields a delimiter splits a header; 0: some have no name or one alike."""
    try:
        names = _without_empty_end(next(csv.reader([header], delimiter=delimiter), []))
    except csv.Error:
        return 0
    return len(names) if all(name.strip() for name in names[1:]) and len(set(names)) == len(names) else 0


def _records(rows: Rows, head: list[Line] | None = None) -> Iterator[Row]:
    source = chain(head or [], rows)
    header = next((row for row in source if row[1]), None)
    if header is None:
        return
    names = header[1]
    names = with_index(_without_empty_end(names))
    _check_header(names, f"{rows.name}:{header[0]}")
    width, several, first = len(names), 0, 0
    spare = len(header[1]) - width
    if spare:
        rows.reading.remark(f"{rows.name}: the last {spare} columns have no name and are left out, as they are empty")
    for number, fields, lines in source:
        if width > 1 and not any(fields):
            continue  # separators alone are an empty line too; reuters-r52 has one
        if fields and len(lines) > 1:
            several, first = several + 1, first or number
            if rows.reading.quoting == "auto" and holds_rows(lines, width + spare, rows.delimiter):
                raise UserError(swallowed(f"{rows.name}:{number}", len(lines), _more(rows, width + spare)))
        if fields == header[1] and width > 1:
            raise UserError(f"{rows.name}:{number}: the header is here again, as in files that were joined; remove it")
        if spare and len(fields) == width + spare:
            fields = _without_spare(fields, width, f"{rows.name}:{header[0]}", number)
        if len(fields) == width:
            yield dict(zip(names, fields)), f"{rows.name}:{number}"
        elif fields:
            raise UserError(_uneven(f"{rows.name}:{number}", len(fields), names, lines, rows.delimiter))
    if several and width == 1:
        rows.reading.remark(
            f"{rows.name}: {several:,} quoted texts go over several lines, the first from line {first} (where quotes "
            "are parts of the texts, set data.quoting: none)"
        )


def _more(rows: Rows, width: int) -> int:
    """How many of the rows that are left swallow others too, up to one that can't be read."""
    count = 0
    with contextlib.suppress(UserError):
        for _, _, lines in rows:
            count += len(lines) > 1 and holds_rows(lines, width, rows.delimiter)
    return count


def _uneven(where: str, fields: int, names: list[str], lines: tuple[str, ...], delimiter: str) -> str:
    fix = "quote a text that holds a separator, or complete the row"
    if fields == len(names) + 1 and _ROW_NUMBER.match(lines[0]):
        fix = "where rows begin with their number, as R writes it, name that column in the header"
    if f'{delimiter} "' in lines[0]:
        fix = "a quote counts only right behind a separator: remove the spaces there"
    if len(lines) == 1 and '"' in lines[0] and lines[0].count(delimiter) == len(names) - 1:
        fix = "a quote takes a separator in: where quotes are parts of the texts, set data.quoting: none"
    return f"{where}: {fields} fields where the header has {len(names)} ({listed(names)}); {fix}"


def _without_spare(fields: list[str], width: int, where: str, line: int) -> list[str]:
    """A row without the empty columns that Excel writes. Raises UserError where one has a value."""
    filled = next((column for column, field in enumerate(fields[width:], width + 1) if field), None)
    if filled is not None:
        raise UserError(f"{where}: column {filled} of the header has no name, but line {line} has a value; give it one")
    return fields[:width]


def _without_empty_end(names: list[str]) -> list[str]:
    """The names of a header without empty ones at its end."""
    width = len(names)
    while width > 1 and not names[width - 1].strip():
        width -= 1
    return names[:width]


def with_index(names: list[str]) -> list[str]:
    """The names of a header, the first of which may be empty, as pandas and R write an index -> that one named."""
    if len(names) < 2 or names[0]:
        return names
    index = (
        INDEX
        if INDEX not in names
        else next(name for name in (f"{INDEX}.{number}" for number in range(1, len(names) + 1)) if name not in names)
    )
    return [index, *names[1:]]


def _check_header(names: list[str], where: str) -> None:
    columns = set()
    for position, column in enumerate(names, 1):
        if not column.strip():
            raise UserError(f"{where}: column {position} of the header has no name; give it one")
        if column in columns:
            raise UserError(f"{where}: the header names {quoted(column)} twice; rename one of the columns")
        columns.add(column)
