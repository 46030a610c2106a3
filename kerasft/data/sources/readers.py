"""One reader a format: a path -> (values, place) of each example, in order, one at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from kerasft.data.sources import delimited, json_rows, squad_rows
from kerasft.data.sources.files import UTF8_BOM, decode_lines, is_folder, names_in, not_utf8, open_bytes
from kerasft.errors import UserError

Row = tuple[dict[str, Any], str]
TEXT_ENDINGS = (".txt", ".txt.gz")
PARQUET_ROWS = 1024  # rows turned into Python at a time

ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tab",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".txt": "txt",
}


def detect_format(path: str) -> str:
    """The format of a path, by its ending or as a folder. Raises UserError."""
    if is_folder(path):
        return "folder"
    ending = os.path.splitext(path.removesuffix(".gz"))[1].lower()
    if ending not in ENDINGS:
        raise UserError(
            f"{path}: no format is known for the ending {ending!r}; rename the file to one of "
            f"{', '.join(ENDINGS)} (each also with .gz), or set data.format"
        )
    return ENDINGS[ending]


def read_path(path: str, name: str, format: str) -> Iterator[Row]:
    """Reads a file or folder of a known format; `name` stands for it in places. Raises UserError."""
    if format == "folder":
        yield from _read_folder(path, name)
        return
    with open_bytes(path) as stream:
        yield from STREAM_READERS[format](stream, name)


def _read_json(stream, name: str) -> Iterator[Row]:
    nested = squad_rows.is_squad(stream.peek(json_rows.FIRST_READ))
    return squad_rows.read_squad(stream, name) if nested else json_rows.read_json(stream, name)


def _read_txt(stream, name: str) -> Iterator[Row]:
    """One text a line; an empty line is an empty text, so that answers stay aligned with lines."""
    for number, line in enumerate(decode_lines(stream, name), 1):
        yield {"text": line.rstrip("\r\n")}, f"{name}:{number}"


def _read_document(stream, name: str) -> Iterator[Row]:
    """The whole file as one text; a file of white space alone has none."""
    text = _whole_text(stream.read(), name)
    if text.strip():
        yield {"text": text}, name


def _read_parquet(stream, name: str) -> Iterator[Row]:
    """Rows of a Parquet file, a row group at a time; the place is the row's number, from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        file = pq.ParquetFile(stream)
        for batch in file.iter_batches(batch_size=PARQUET_ROWS):
            for values in batch.to_pylist():
                number += 1
                yield values, f"{name}:{number}"
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{name}:{number + 1}: broken Parquet: {reason}; write the file again") from error


def _read_folder(path: str, name: str) -> Iterator[Row]:
    """FOLDER/LABEL/*.txt, a text a file, or FOLDER/LABEL.txt, a text a line -> columns text and label."""
    names = names_in(path)
    labels = [label for label in names if is_folder(os.path.join(path, label))]
    listed = [file for file in names if file.endswith(TEXT_ENDINGS)]
    if not labels and not listed:
        mend = f"put each text into {name}/LABEL/*.txt, or the texts of a label into the lines of {name}/LABEL.txt"
        raise UserError(f"{name}: the folder has neither sub-folders nor .txt files; {mend}")
    for file in [] if labels else listed:
        label = file.removesuffix(".gz").removesuffix(".txt")
        with open_bytes(os.path.join(path, file)) as stream:
            for values, where in _read_txt(stream, f"{name}/{file}"):
                if values["text"].strip():
                    yield {"text": values["text"], "label": label}, where
    for label in labels:
        files = [file for file in names_in(os.path.join(path, label)) if file.endswith(TEXT_ENDINGS)]
        if not files:
            raise UserError(f"{name}/{label}: no .txt file in the folder; add texts, or remove the folder")
        for file in files:
            place = f"{name}/{label}/{file}"
            with open_bytes(os.path.join(path, label, file)) as stream:
                yield {"text": _whole_text(stream.read(), place), "label": label}, place


def _whole_text(data: bytes, name: str) -> str:
    try:
        return data.removeprefix(UTF8_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise not_utf8(f"{name}:{line}", error) from error


STREAM_READERS: dict[str, Callable[..., Iterator[Row]]] = {
    "csv": delimited.read_csv,
    "tsv": delimited.read_tsv,
    "tab": delimited.read_tab,
    "jsonl": _read_json,
    "squad": squad_rows.read_squad,
    "parquet": _read_parquet,
    "txt": _read_txt,
    "document": _read_document,
}
