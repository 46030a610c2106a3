"""Records with a text, or a pair of texts, and a label -> rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from kerasft.tasks.base import Column
from kerasft.tasks.base.columns import text_of

if TYPE_CHECKING:
    from kerasft.data.sources.sources import Record

COLUMNS = (Column("text"), Column("text_pair", required=False), Column("label"))


def inputs_of(columns: Mapping[str, str]) -> tuple[str, ...]:
    """`data.columns` -> the texts that a row has."""
    return ("text", "text_pair") if "text_pair" in columns else ("text",)


def schema(inputs: tuple[str, ...], label: pa.DataType) -> pa.Schema:
    """Of one row: its texts, the label, where it stands."""
    texts = [(name, pa.large_string()) for name in inputs]
    return pa.schema([*texts, ("label", label), ("where", pa.string())])


def read_texts(record: Record, columns: Mapping[str, str], inputs: tuple[str, ...]) -> dict[str, str]:
    """The texts of a record. Raises BadRow.

    Args:
        record: as a reader gives it, with its place for messages.
        columns: role -> the column's name.
        inputs: roles of the texts.
    """
    return {name: text_of(record.get(columns[name], name), columns[name], record.where) for name in inputs}


def given_columns(record: Record, columns: Mapping[str, str], inputs: tuple[str, ...]) -> dict[str, str]:
    """The names of a record's columns of texts, which may also bear the names of their roles."""
    return {name: columns[name] if columns[name] in record.values else name for name in inputs}
