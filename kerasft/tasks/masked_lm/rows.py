"""Records with a text -> rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kerasft.tasks.base import Column
from kerasft.tasks.base.columns import text_of

if TYPE_CHECKING:
    from kerasft.data.sources.sources import Record

COLUMNS = (Column("text"),)
SCHEMA = pa.schema([("text", pa.large_string()), ("where", pa.string())])


def read_row(record: Record, columns: Mapping[str, str]) -> dict[str, Any]:
    """A record -> a row of `SCHEMA`. Raises BadRow.

    Args:
        record: as a reader gives it, with its place for messages.
        columns: role -> the column's name.
    """
    column = columns["text"]
    return {"text": text_of(record.get(column, "text"), column, record.where), "where": record.where}


def read_text(record: Record, columns: Mapping[str, str]) -> str:
    """The text of a record, whose column may also bear the name of its role. Raises BadRow."""
    column = columns["text"] if columns["text"] in record.values else "text"
    return text_of(record.get(column, "text"), column, record.where)
