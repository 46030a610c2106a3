"""Records with two entities in a text, marked or by their spans, and a label -> rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from kerasft.data.sources.markers import Markers
from kerasft.errors import UserError
from kerasft.tasks.base import Column
from kerasft.tasks.base.columns import text_of

if TYPE_CHECKING:
    from kerasft.data.sources.sources import Record

ENTITIES = ("e1", "e2")
COLUMNS = (Column("text"), *(Column(role, required=False) for role in ENTITIES), Column("label"))
SCHEMA = pa.schema([("text", pa.large_string()), ("label", pa.string()), ("where", pa.string())])


def check_columns(columns: Mapping[str, str]) -> None:
    """Raises UserError where `data.columns` has the span of one entity alone."""
    if ("e1" in columns) != ("e2" in columns):
        missing = "e2" if "e1" in columns else "e1"
        raise UserError(f"data.columns.{missing}: missing; name the column with the other entity's span")


def read_marked(record: Record, columns: Mapping[str, str], markers: Markers) -> str:
    """The text of a record with both entities marked. Raises BadRow.

    Args:
        record: as a reader gives it, with its place for messages.
        columns: role -> the column's name; without e1 and e2 the text has its markers already.
        markers: as `task.tags` names them.
    """
    text = text_of(record.get(columns["text"], "text"), columns["text"], record.where)
    if "e1" not in columns:
        return markers.check(text, record.where)
    names = [columns[entity] for entity in ENTITIES]
    spans = [record.get(name, entity) for name, entity in zip(names, ENTITIES)]
    return markers.insert(text, spans, names, record.where)


def given_columns(record: Record, columns: Mapping[str, str]) -> dict[str, str]:
    """The names of a record's columns, which may also bear the names of their roles."""
    column_of = {role: name if name in record.values else role for role, name in columns.items()}
    if not any(column_of.get(entity) in record.values for entity in ENTITIES):
        return {"text": column_of["text"]}  # a model that was trained on spans reads markers too
    return column_of
