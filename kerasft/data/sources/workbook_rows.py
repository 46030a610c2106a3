"""Rows of the first sheet of an Excel workbook (.xlsx), by openpyxl, which is an extra of its own."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kerasft.data.sources.delimited import with_index
from kerasft.data.sources.reading import Reading, Row
from kerasft.data.sources.signatures import refuse_signature
from kerasft.errors import UserError
from kerasft.quoting import listed, quoted

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook

ZIP = b"PK\x03\x04"
MAX_BYTES = 1 << 30  # openpyxl holds the texts of a workbook in memory


def read_workbook(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """The first row that is not empty is the header, each other a row; its place is its number in the sheet.

    Values are texts, numbers, true or false, or null; dates are texts in ISO 8601. Of a formula it is the value that
    was saved with it. Sheets behind the first are named in a remark.

    Raises:
        UserError: openpyxl is not installed, the file is broken or no workbook, a column of the header has no name
            or one alike, a row is longer than the header or larger than one may be.
    """
    start = stream.peek(1 << 16)
    if not start.startswith(ZIP):
        refuse_signature(start, name, whole=False)
        raise UserError(f"{name}: not an Excel workbook (.xlsx); save it as one, or as CSV")
    book = _open(stream, name)
    sheet = book.worksheets[0]
    if len(book.worksheets) > 1:
        others = ", ".join(repr(other.title) for other in book.worksheets[1:6])
        reading.remark(f"{name}: the sheet {sheet.title!r} is read, and {others} left out")
    sheet.reset_dimensions()  # what a file says of its size may be wrong, and would cut it
    try:
        yield from _rows(sheet.iter_rows(values_only=True), name, reading)
    except (zipfile.BadZipFile, ValueError, KeyError, SyntaxError, EOFError) as error:  # XML's ParseError is the third
        raise _broken(name, error) from error


def _open(stream: io.BufferedReader, name: str) -> Workbook:
    try:
        import openpyxl
    except ImportError as error:
        raise UserError(
            f"{name}: reading an Excel workbook takes openpyxl; install it (pip install openpyxl), or save the sheet "
            "as CSV (UTF-8)"
        ) from error
    data = stream if stream.seekable() else io.BytesIO(stream.read())
    try:
        with zipfile.ZipFile(data) as archive:
            size = sum(info.file_size for info in archive.infolist())  # zipfile reads no more than this
        if size > MAX_BYTES:
            raise UserError(f"{name}: unpacks to {size:,} bytes, too many for a workbook; save the sheet as CSV")
        book = openpyxl.load_workbook(data, read_only=True, data_only=True, keep_links=False)
    except (zipfile.BadZipFile, ValueError, KeyError, SyntaxError, EOFError, OSError) as error:
        raise _broken(name, error) from error
    if not book.worksheets:
        raise UserError(f"{name}: the workbook has no sheet of cells; save the table as CSV")
    return book


def _broken(name: str, error: Exception) -> UserError:
    reason = error.args[0] if error.args else type(error).__name__
    return UserError(f"{name}: a broken Excel workbook ({reason}); save it again, or as CSV")


def _rows(cells: Iterator[tuple[Any, ...]], name: str, reading: Reading) -> Iterator[Row]:
    names: list[str] = []
    for number, row in enumerate(cells, 1):
        where = f"{name}:{number}"
        values = [_plain(value) for value in row]
        while values and values[-1] in (None, ""):
            values.pop()
        if not values:
            continue
        if not names:
            names = _header(values, where)
            continue
        if len(values) > len(names):
            raise UserError(
                f"{where}: {len(values)} cells where the header has {len(names)} ({listed(names)}); name them all"
            )
        reading.check_size(sum(len(value.encode()) for value in values if isinstance(value, str)), where)
        yield dict(zip(names, values + [None] * (len(names) - len(values)))), where


def _header(values: list[Any], where: str) -> list[str]:
    names = with_index(["" if value is None else str(value) for value in values])
    for position, column in enumerate(names, 1):
        if not column.strip():
            raise UserError(f"{where}: column {position} of the header has no name; give it one")
    if len(set(names)) < len(names):
        twice = next(column for column in names if names.count(column) > 1)
        raise UserError(f"{where}: the header names {quoted(twice)} twice; rename one of the columns")
    return names


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()  # a workbook has no other dates
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return str(value)
    return value
