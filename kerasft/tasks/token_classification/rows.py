"""Records -> rows: a text and its entities, from tokens with tags or from a text with spans."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pyarrow as pa

from kerasft.config.tasks import TokenClassificationConfig
from kerasft.data.augmentation.marked_text import MarkedText, Span
from kerasft.data.sources.sources import Record
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.tasks.base import Column
from kerasft.tasks.base.columns import text_of
from kerasft.tasks.token_classification.tagged_rows import join, read_spans, read_tagged, read_tokens

PAIRS = (("tokens", "tags"), ("text", "spans"))
COLUMNS = tuple(Column(role, required=False) for pair in PAIRS for role in pair)


def check_columns(columns: Collection[str]) -> None:
    """Raises UserError where `data.columns` has neither pair, or more than one."""
    if not any(set(columns) == set(pair) for pair in PAIRS):
        raise UserError(
            f"data.columns: there are {', '.join(sorted(columns))}; name tokens and tags, or text and spans"
        )


def schema() -> pa.Schema:
    """Of one row: its text, where entities and words start and end in it, the entities' types, where it stands."""
    offsets = [(name, pa.list_(pa.int32())) for name in ("starts", "ends", "word_starts", "word_ends")]
    label = ("label", pa.list_(pa.string()))
    return pa.schema([("text", pa.large_string()), *offsets, label, ("where", pa.string())])


def types_in(*tables: Table) -> set[str]:
    """The types of all entities."""
    return {label for table in tables for labels in table.column("label") for label in labels}


def read_row(
    record: Record, columns: Mapping[str, str], section: TokenClassificationConfig, tag_counts: Counter[str]
) -> dict[str, Any]:
    """A record with its entities. Raises BadRow.

    Args:
        record: as a reader gives it, with its place for messages.
        columns: role -> the column's name.
        section: `task` of the config: scheme and joiner are read.
        tag_counts: tags are counted here as the data has them.
    """
    if "tokens" in columns:
        row = read_tagged(record, columns["tokens"], columns["tags"], section.joiner, section.scheme, tag_counts)
    else:
        row = read_spans(record, columns["text"], columns["spans"])
    return row | {"label": row.pop("types"), "where": record.where}


def marked_text(row: Mapping[str, Any]) -> MarkedText:
    """The text of a row with its entities, and with the tokens that it came in."""
    spans = tuple(Span(*entity) for entity in zip(row["starts"], row["ends"], row["label"]))
    return MarkedText(row["text"], spans, tuple(zip(row["word_starts"], row["word_ends"])))


def with_text(row: Mapping[str, Any], marked: MarkedText) -> dict[str, Any]:
    """A row with an edited text, its entities and tokens where they are in that."""
    return {
        **row,
        "text": marked.text,
        "starts": [span.start for span in marked.spans],
        "ends": [span.end for span in marked.spans],
        "word_starts": [start for start, _ in marked.words],
        "word_ends": [end for _, end in marked.words],
    }


def read_text(record: Record, columns: Mapping[str, str], joiner: str) -> str:
    """The text of a record without entities, from tokens where it has such. Raises BadRow."""
    tokens = columns.get("tokens", "tokens")
    if tokens in record.values:
        return join(read_tokens(record, tokens), joiner)[0]
    name = columns.get("text", "text")
    column = name if name in record.values else "text"
    return text_of(record.get(column, "text"), column, record.where)


def without_entities(text: str, where: str) -> dict[str, Any]:
    """A row of a text whose entities are not known."""
    none = {name: [] for name in ("starts", "ends", "word_starts", "word_ends", "label")}
    return {"text": text, **none, "where": where}


def write_spans(spans: Iterable[tuple[int, int, str]]) -> str:
    """Entities as JSON that `corrected_spans` reads: [[start, end, type], ...]."""
    return json.dumps([[int(start), int(end), kind] for start, end, kind in spans], ensure_ascii=False)


def corrected_spans(written: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Entities of a row's text as `write_spans` writes them -> the columns that they are. Raises BadRow."""
    record = Record({"text": row["text"], "spans": written}, row["where"])
    spans = read_spans(record, "text", "spans")
    return {"starts": spans["starts"], "ends": spans["ends"], "label": spans["types"]}
