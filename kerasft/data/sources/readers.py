"""One reader a format: a path -> (values, place) of each example, in order, one at a time."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator

from kerasft.data.sources import (
    arrow_rows,
    conll_rows,
    delimited,
    json_rows,
    parquet_rows,
    squad_rows,
    text_rows,
    workbook_rows,
)
from kerasft.data.sources.files import is_folder, open_bytes
from kerasft.data.sources.reading import Reading, Row
from kerasft.data.sources.signatures import refuse_ending
from kerasft.data.sources.text_streams import as_text
from kerasft.errors import UserError

ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tab",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".conll": "conll",
    ".conllu": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".bmes": "conll",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".txt": "txt",
}
_TEXT: dict[str, Callable[[io.BufferedReader, str, Reading], Iterator[Row]]] = {
    "csv": delimited.read_csv,
    "tsv": delimited.read_tsv,
    "tab": delimited.read_tab,
    "json": json_rows.read_json,
    "jsonl": json_rows.read_json_lines,
    "squad": squad_rows.read_squad,
    "conll": conll_rows.read_conll,
    "txt": text_rows.read_lines_of_text,
    "document": text_rows.read_document,
}
_BINARY: dict[str, Callable[[io.BufferedReader, str, Reading], Iterator[Row]]] = {
    "parquet": parquet_rows.read_parquet,
    "arrow": arrow_rows.read_arrow,
    "xlsx": workbook_rows.read_workbook,
}
STREAMED = (*_TEXT, *_BINARY)  # formats of one file


def detect_format(path: str) -> str:
    """The format of a path, by its ending in any case, or as a folder. Raises UserError."""
    if is_folder(path):
        return "folder"
    ending = os.path.splitext(path.lower().removesuffix(".gz"))[1]
    if ending not in ENDINGS:
        refuse_ending(path, ending)
        what = f"the ending {ending!r}" if ending else "a name without an ending"
        raise UserError(
            f"{path}: no format is known for {what}; rename the file to one of "
            f"{', '.join(ENDINGS)} (each also with .gz), or set data.format"
        )
    return ENDINGS[ending]


def read_path(path: str, name: str, format: str, reading: Reading) -> Iterator[Row]:
    """Reads a file or folder of a known format; `name` stands for it in places. Raises UserError."""
    if format == "folder":
        yield from text_rows.read_folder(path, name, reading)
        return
    with open_bytes(path) as stream:
        yield from read_stream(stream, name, format, reading)


def read_stream(stream: io.BufferedReader, name: str, format: str, reading: Reading) -> Iterator[Row]:
    """Reads a stream of one of the formats `STREAMED`. Raises UserError."""
    if format in _BINARY:
        return _BINARY[format](stream, name, reading)
    return _TEXT[format](as_text(stream, name, reading, format), name, reading)
