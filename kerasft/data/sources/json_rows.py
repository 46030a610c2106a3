"""Rows of JSON: one object a line, one array of objects, or one object that holds them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from kerasft.data.sources import squad_rows
from kerasft.data.sources.annotations import flat_annotations
from kerasft.data.sources.json_columns import read_object
from kerasft.data.sources.json_text import JsonText, check_depth, check_repeated, check_surrogates, not_object, reason
from kerasft.data.sources.reading import Reading, Row
from kerasft.data.sources.text_streams import UTF8_BOM, read_lines
from kerasft.errors import UserError

FIRST_LOOK = 1 << 20
LINE_ENDS = ("\n", "\r\n", "")


def read_json(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """JSON in whichever form -> (values, place). Raises UserError.

    An array of objects, one object a line, SQuAD's form, rows under one key of an object, or columns (see
    `json_columns`); objects of Label Studio's export are made flat.
    """
    start = stream.peek(FIRST_LOOK).removeprefix(UTF8_BOM).lstrip()
    if start.startswith(b"{") and not _begins_with_lines(start):
        return _flat(read_object(JsonText(stream, name, reading), name, reading), reading)
    return read_json_lines(stream, name, reading)


def read_json_lines(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """JSON Lines, an array of objects or SQuAD -> (values, place). Empty lines are skipped. Raises UserError."""
    start = stream.peek(FIRST_LOOK).removeprefix(UTF8_BOM).lstrip()
    if start.startswith(b"["):
        return _flat(_read_array(stream, name, reading), reading)
    if squad_rows.is_squad(start):
        return squad_rows.read_squad(stream, name, reading)
    return _flat(_read_lines(stream, name, reading), reading)


def _flat(rows: Iterator[Row], reading: Reading) -> Iterator[Row]:
    """Rows, those of annotation tools made flat, and articles of SQuAD as their questions."""
    for values, where in flat_annotations(rows, reading.columns):
        if squad_rows.is_article(values) and "paragraphs" not in reading.columns:
            yield from squad_rows.questions(values, where)
        else:
            yield values, where


def _begins_with_lines(start: bytes) -> bool:
    """Whether the first line is a whole object and others follow."""
    line, _, rest = start.partition(b"\n")
    if not rest.strip():
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _read_lines(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    parser = json.JSONDecoder()
    for number, line in enumerate(read_lines(stream, name, reading), 1):
        try:
            # raw_decode spares two searches for white space, a quarter of the time; decode allows for any
            values, end = parser.raw_decode(line) if line[0] == "{" else (None, None)
            if end is None or line[end:] not in LINE_ENDS:
                values = parser.decode(line)
        except (ValueError, RecursionError) as error:
            if line.isspace():
                continue
            raise UserError(
                f"{name}:{number}: broken JSON: {reason(error)}; write one whole object a line, or an array of "
                f"objects{_one_object(line, number)}"
            ) from error
        where = f"{name}:{number}"
        if type(values) is not dict:
            raise not_object(where, values)
        check_depth(values, line, 0, len(line), where)
        check_repeated(values, line, line.index("{"), len(line), where)
        if "\\ud" in line or "\\uD" in line:
            check_surrogates(values, where)
        yield values, where


def _one_object(line: str, number: int) -> str:
    opened = number == 1 and line.strip() == "{"
    return ", or set data.format: json where the file is one object" if opened else ""


def _read_array(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    text = JsonText(stream, name, reading)
    yield from text.objects()
    text.end("the array")
