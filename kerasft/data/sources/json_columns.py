"""One object of JSON that holds a whole table: rows under a key, or columns, as pandas and `datasets` write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kerasft.data.sources import squad_rows
from kerasft.data.sources.json_text import JsonText, check_surrogates, not_object
from kerasft.data.sources.reading import Reading, Row
from kerasft.errors import UserError
from kerasft.quoting import quoted

MOST_BYTES = 1 << 30  # of a table by columns, which is held as a whole
_AS_ROWS = "write one object a line, or an array of objects"
SPLIT = {"columns", "data"}  # of pandas' orient="split", beside index, index_names and column_names


def read_object(text: JsonText, name: str, reading: Reading) -> Iterator[Row]:
    """An object, or several one behind the other -> rows. Raises UserError.

    Forms: {"KEY": [ROW, ...], ...}, of which other keys are left out, SQuAD among them; {"COLUMN": [VALUE, ...], ...};
    {"COLUMN": {"0": VALUE, ...}, ...}, {"0": ROW, ...} and {"columns": [...], "data": [[...], ...]}, which are
    pandas' orients columns, index and split; or an object that is a row itself.
    """
    start = text.where()
    values: dict[str, Any] = {}
    wheres: dict[str, str] = {}
    rows_key = None
    for key in text.keys():
        wheres[key] = text.where()
        if text.peek() == "[":
            items = text.items()
            first = next(items, None)
            if first is not None and text.peek() == "{" and not _is_column(key, values, reading):
                if rows_key is not None:
                    raise UserError(
                        f"{first}: rows under {quoted(rows_key)} and under {quoted(key)} too; give each its own file"
                    )
                rows_key = key
                yield from _rows(
                    text, items, first, f"{name}: the rows are those under {quoted(key)} of one object", reading
                )
                continue
            values[key] = _listed(text, items, first, name)
        elif text.peek() == "{":
            values[key] = {inner: _bounded(text, name) for inner in text.keys()}
        else:
            values[key] = text.value()
    if rows_key is not None:
        text.end(f"the object with rows under {quoted(rows_key)} (or set data.format: jsonl, where each line is a row)")
        return
    yield from _table(values, wheres, start, name, reading)
    while text.peek():  # objects one behind the other, whatever their line breaks
        where = text.where()
        yield text.object(where), where


def _is_column(key: str, columns: dict[str, Any], reading: Reading) -> bool:
    """Whether an array of objects is a column, or a value of a row, and not itself the rows."""
    return not reading.columns.isdisjoint({key, *columns}) or any(
        isinstance(value, list) and value for value in columns.values()
    )


def _rows(text: JsonText, items: Iterator[str], first: str, remark: str, reading: Reading) -> Iterator[Row]:
    """The objects of an array whose first begins here, with a remark; or questions, if they are SQuAD's articles."""
    values = text.object(first)
    if squad_rows.is_article(values):
        yield from squad_rows.questions(values, first)
        for where in items:
            yield from squad_rows.questions(text.object(where), where)
        return
    reading.remark(remark)
    yield values, first
    for where in items:
        yield text.object(where), where


def _listed(text: JsonText, items: Iterator[str], first: str | None, name: str) -> list[Any]:
    values = [] if first is None else [_bounded(text, name)]
    values.extend(_bounded(text, name) for _ in items)
    return values


def _bounded(text: JsonText, name: str) -> Any:
    if text.bytes_read > MOST_BYTES:
        raise UserError(f"{name}: a table by columns of more than {MOST_BYTES >> 30} GiB; {_AS_ROWS}")
    return text.value()


def _table(columns: dict[str, Any], wheres: dict[str, str], start: str, name: str, reading: Reading) -> Iterator[Row]:
    """What an object without an array of rows is: columns, rows by an index, or one row."""
    values = list(columns.values())
    if columns.keys() >= SPLIT and all(isinstance(columns[key], list) for key in SPLIT):
        yield from _split(columns["columns"], columns["data"], name, reading)
    elif values and all(isinstance(value, list) for value in values):
        yield from _columns(columns, name, reading)
    elif values and all(isinstance(value, dict) for value in values):
        if _by_column(columns, reading):
            keys = list(values[0])
            for column, value in columns.items():
                if list(value) != keys:
                    pair = f"{quoted(next(iter(columns)))} and {quoted(column)}"
                    raise UserError(f"{name}: the columns {pair} have other rows; {_AS_ROWS}")
            yield from _columns({column: list(value.values()) for column, value in columns.items()}, name, reading)
        else:
            reading.remark(f"{name}: each key of its one object is read as a row's")
            for key, value in columns.items():
                check_surrogates(value, wheres[key])
                yield value, wheres[key]
    else:
        reading.check_size(len(json.dumps(columns, ensure_ascii=False).encode("utf-8", "replace")), start)
        check_surrogates(columns, start)
        yield columns, start


def _by_column(columns: dict[str, dict[str, Any]], reading: Reading) -> bool:
    """Whether keys are columns, and the keys below them rows; or the other way round."""
    inner = next(iter(columns.values()))
    if not reading.columns.isdisjoint(columns):
        return True
    if not reading.columns.isdisjoint(inner):
        return False
    return bool(inner) and all(key.isdecimal() for key in inner)


def _split(names: list[Any], rows: list[Any], name: str, reading: Reading) -> Iterator[Row]:
    reading.remark(f"{name}: read as pandas' to_json(orient='split')")
    for number, row in enumerate(rows, 1):
        where = f"{name}, row {number}"
        if not isinstance(row, list):
            raise not_object(where, row)
        if len(row) != len(names):
            raise UserError(f"{where}: {len(row)} values for {len(names)} columns; {_AS_ROWS}")
        yield _checked(dict(zip(map(str, names), row)), where, reading)


def _columns(columns: dict[str, list[Any]], name: str, reading: Reading) -> Iterator[Row]:
    lengths = {column: len(values) for column, values in columns.items()}
    if len(set(lengths.values())) > 1:
        summary = ", ".join(f"{quoted(column)} {length:,}" for column, length in list(lengths.items())[:8])
        raise UserError(
            f"{name}: one object with columns of different lengths ({summary}); {_AS_ROWS} (data.format: jsonl reads "
            "it as one row)"
        )
    reading.remark(f"{name}: one object, read by columns (data.format: jsonl reads it as one row)")
    for number, row in enumerate(zip(*columns.values()), 1):
        yield _checked(dict(zip(columns, row)), f"{name}, row {number}", reading)


def _checked(values: dict[str, Any], where: str, reading: Reading) -> Row:
    check_surrogates(values, where)
    if len(values) > 1:
        reading.check_size(sum(len(value) for value in values.values() if isinstance(value, str)), where)
    return values, where
