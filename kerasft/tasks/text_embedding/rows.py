"""Records with two or three texts, or a pair and its score -> rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kerasft.errors import BadRow, UserError
from kerasft.quoting import quoted
from kerasft.tasks.base import Column
from kerasft.tasks.base.columns import text_of

if TYPE_CHECKING:
    from kerasft.data.sources.sources import Record

COLUMNS = (
    Column("text"),
    Column("text_pair"),
    Column("text_negative", required=False),
    Column("label", required=False),
)


def check_columns(columns: Mapping[str, str]) -> None:
    """Raises UserError where `data.columns` has scores of pairs and texts that do not belong."""
    if "label" in columns and "text_negative" in columns:
        raise UserError("data.columns: label and text_negative are both set; keep the one that the data has")


def texts_of(columns: Mapping[str, str]) -> tuple[str, ...]:
    """`data.columns` -> the texts that a row has."""
    return ("text", "text_pair", *(("text_negative",) if "text_negative" in columns else ()))


def schema(texts: tuple[str, ...], scored: bool) -> pa.Schema:
    """Of one row: its texts, their score where there is one, where it stands."""
    score = [("label", pa.float64())] if scored else []
    return pa.schema([*((name, pa.large_string()) for name in texts), *score, ("where", pa.string())])


def read_row(record: Record, columns: Mapping[str, str], texts: tuple[str, ...], scored: bool) -> dict[str, Any]:
    """A record -> a row of `schema`. Raises BadRow.

    Args:
        record: as a reader gives it, with its place for messages.
        columns: role -> the column's name.
        texts: roles of the texts.
        scored: whether there is a score.
    """
    where = record.where
    row: dict[str, Any] = {name: text_of(record.get(columns[name], name), columns[name], where) for name in texts}
    if row["text_pair"] == row.get("text_negative"):
        column = columns["text_negative"]
        raise BadRow(f"{where}: column {column!r} is the text that belongs to this one; give another or drop it")
    if scored:
        row["label"] = _score(record.get(columns["label"], "label"), columns["label"], where)
    return row | {"where": where}


def first_text(record: Record, names: tuple[str, ...]) -> str:
    """The text of the first of some columns that a record has. Raises BadRow."""
    column = next((name for name in names if name in record.values), names[0])
    return text_of(record.get(column, "text"), column, record.where)


def _score(value: Any, column: str, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number) or isinstance(value, bool):
        raise BadRow(f"{where}: column {column!r} is {quoted(value)}; the score of a pair is a finite number")
    return number
