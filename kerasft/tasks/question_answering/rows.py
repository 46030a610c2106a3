"""Records of questions -> rows; their answers, as data sets write them -> spans of the context."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kerasft.data.sources.edges import trimmed, trimmed_span
from kerasft.data.sources.literals import NoLiteral, read_literal
from kerasft.errors import BadRow
from kerasft.quoting import quoted
from kerasft.tasks.base import Column
from kerasft.tasks.base.columns import text_of

if TYPE_CHECKING:
    from kerasft.data.sources.sources import Record

INPUTS = ("question", "context")
COLUMNS = (*map(Column, INPUTS), Column("answers"), Column("id", required=False))
_PLACES = ("starts", "ends")
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        *((name, pa.large_string()) for name in INPUTS),
        *((name, pa.list_(pa.int32())) for name in _PLACES),
        ("where", pa.string()),
    ]
)
_FORM = '[{"text": TEXT, "start": NUMBER}, ...]'


def read_row(record: Record, columns: Mapping[str, str]) -> dict[str, Any]:
    """A record -> a row of `SCHEMA`. Raises BadRow.

    Args:
        record: as a reader gives it, with its place for messages.
        columns: role -> the column's name.
    """
    texts = read_texts(record, columns)
    answers = record.get(columns["answers"], "answers")
    spans = read_answers(answers, texts["context"], columns["answers"], record.where)
    name = None
    if "id" in columns:
        name = text_of(record.get(columns["id"], "id"), columns["id"], record.where)
    return {
        "id": name,
        **texts,
        "starts": [start for start, _ in spans],
        "ends": [end for _, end in spans],
        "where": record.where,
    }


def read_texts(record: Record, columns: Mapping[str, str]) -> dict[str, str]:
    """The question and the context of a record. Raises BadRow."""
    return {name: text_of(record.get(columns[name], name), columns[name], record.where) for name in INPUTS}


def read_answers(value: Any, context: str, column: str, where: str) -> list[tuple[int, int]]:
    """The answers of one row -> (start, end) of each in code points of the context, without what is blank around it.

    Args:
        value: a list of {text, start} or {text, answer_start}; {text: [...], answer_start: [...]} as the Hugging Face
            data sets have it; such a thing as text (JSON, or as Python or NumPy print it),
            in a cell of a CSV file; null or empty: there is no answer.
        context: what the starts count.
        column: its name, for errors.
        where: the row's place.

    Raises:
        BadRow: the value has none of these forms, or an answer is empty or not at its start.
    """
    return [_span(answer, context, column, where) for answer in _listed(value, column, where)]


def write_answers(context: str, starts: Sequence[int], ends: Sequence[int]) -> str:
    """Answers as JSON that `read_answers` reads; [] where there are none."""
    answers = [{"text": context[start:end], "start": int(start)} for start, end in zip(starts, ends)]
    return json.dumps(answers, ensure_ascii=False)


def _listed(value: Any, column: str, where: str) -> list[Any]:
    if isinstance(value, str):
        try:
            value = read_literal(value) if value.strip() else None
        except NoLiteral as error:
            what = f"{where}: column {column!r} is not JSON, but {quoted(value)}; write {_FORM}"
            raise BadRow(what, "answers of no known form") from error
    if isinstance(value, dict):
        texts, starts = value.get("text"), value.get("answer_start", value.get("start"))
        if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
            return [{"text": text, "start": start} for text, start in zip(texts, starts)]
        value = [value]
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRow(f"{where}: column {column!r} is {quoted(value)}; write {_FORM}", "answers of no known form")
    return value


def _span(answer: Any, context: str, column: str, where: str) -> tuple[int, int]:
    text, start = (None, None)
    if isinstance(answer, dict):
        text, start = answer.get("text"), answer.get("start", answer.get("answer_start"))
    if not isinstance(text, str) or type(start) is not int:
        raise BadRow(f"{where}: {quoted(answer)} in column {column!r}; write {_FORM}", "answers of no known form")
    if not trimmed(text):
        fix = "leave the list of answers empty where there is none"
        raise BadRow(f"{where}: an answer is {quoted(text)}; {fix}", "an empty answer")
    if start < 0 or context[start : start + len(text)] != text:
        raise BadRow(_misplaced(text, start, context, where), "an answer that is not at its start")
    return trimmed_span(context, start, start + len(text))


def _misplaced(text: str, start: int, context: str, where: str) -> str:
    there = context[start : start + len(text)] if start >= 0 else ""
    stands = f"where {quoted(there)} stands" if there else f"outside the {len(context)} characters of the context"
    positions = [match.start() for match in re.finditer(f"(?={re.escape(text)})", context)]
    nearest = min(positions, key=lambda position: abs(position - start), default=None)
    fix = "remove it, or give the context that holds it" if nearest is None else f"it stands at {nearest}: write that"
    return f"{where}: the answer {quoted(text)} is not at {start}, {stands}; {fix} (starts count code points, from 0)"
