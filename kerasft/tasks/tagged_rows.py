"""Records with tokens and tags, or with a text and spans -> a text and its entities."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from kerasft.data.sources.scripts import unspaced
from kerasft.errors import BadRow
from kerasft.tasks.tags import IllFormed, spans_of_tags

if TYPE_CHECKING:
    from kerasft.data.sources.sources import Record


def join(tokens: list[str], joiner: str) -> tuple[str, list[int], list[int]]:
    """Tokens -> the text that they make, and where each starts and ends in it, in code points.

    Args:
        tokens: none empty.
        joiner: `space`, `none`, or `auto`: a space unless it would stand between two characters of scripts that
            are written without.
    """
    parts, starts, ends, at = [], [], [], 0
    for number, token in enumerate(tokens):
        if number and (
            joiner == "space" or (joiner == "auto" and not (unspaced(parts[-1][-1]) and unspaced(token[0])))
        ):
            parts.append(" ")
            at += 1
        starts.append(at)
        at += len(token)
        ends.append(at)
        parts.append(token)
    return "".join(parts), starts, ends


def read_tokens(record: Record, column: str) -> list[str]:
    """The tokens of a record: a list of strings, or one string with spaces between them. Raises BadRow."""
    tokens = _listed(record.get(column, "tokens"))
    if tokens is None:
        raise BadRow(f"{record.where}: column {column!r} is {record.values[column]!r}; a list of tokens is needed")
    for number, token in enumerate(tokens):
        if not isinstance(token, str) or not token.strip():
            raise BadRow(f"{record.where}: token {number} is {token!r}; leave it out, with its tag")
    return tokens


def read_tagged(record: Record, tokens_column: str, tags_column: str, joiner: str, scheme: str) -> dict[str, Any]:
    """A record of tokens and tags -> {text, starts, ends, types, word_starts, word_ends}. Raises BadRow."""
    tokens = read_tokens(record, tokens_column)
    tags = _listed(record.get(tags_column, "tags"))
    if tags is None or not all(isinstance(tag, str) and tag for tag in tags):
        raise BadRow(
            f"{record.where}: column {tags_column!r} is {record.values[tags_column]!r}; a list of tags is needed"
        )
    if len(tags) != len(tokens):
        raise BadRow(f"{record.where}: {len(tokens)} tokens and {len(tags)} tags; each token needs one tag")
    try:
        spans = spans_of_tags(tags, scheme)
    except IllFormed as error:
        raise BadRow(f"{record.where}: {error}; mend it, or set task.scheme to auto") from error
    text, starts, ends = join(tokens, joiner)
    return {
        "text": text,
        "starts": [starts[first] for first, _, _ in spans],
        "ends": [ends[end - 1] for _, end, _ in spans],
        "types": [kind for _, _, kind in spans],
        "word_starts": starts,
        "word_ends": ends,
    }


def read_spans(record: Record, text_column: str, spans_column: str) -> dict[str, Any]:
    """A record of a text and character spans -> what `read_tagged` gives, without words. Raises BadRow.

    A span is {start, end, label} or [start, end, label], in code points, its end one past the last.
    """
    text = record.get(text_column, "text")
    if not isinstance(text, str):
        raise BadRow(f"{record.where}: column {text_column!r} is {text!r}; a text is needed")
    given = record.get(spans_column, "spans")
    spans = sorted(_span(span, text, record.where) for span in _json(given, spans_column, record.where))
    for (_, end, kind), (start, other_end, other) in itertools.pairwise(spans):
        if start < end:
            raise BadRow(
                f"{record.where}: the spans {kind!r} ending at {end} and {other!r} from {start} to {other_end} "
                "overlap; keep one of them"
            )
    starts, ends, types = ([span[place] for span in spans] for place in range(3))
    return {"text": text, "starts": starts, "ends": ends, "types": types, "word_starts": [], "word_ends": []}


def _listed(value: Any) -> list | None:
    if isinstance(value, str):
        return value.split()
    return list(value) if isinstance(value, (list, tuple)) else None


def _json(value: Any, column: str, where: str) -> list:
    if isinstance(value, str):  # a cell of a CSV file
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise BadRow(
                f"{where}: column {column!r} is not JSON ({error.msg}); write [[start, end, label], ...]"
            ) from error
    if not isinstance(value, list):
        raise BadRow(f"{where}: column {column!r} is {value!r}; a list of spans is needed")
    return value


def _span(span: Any, text: str, where: str) -> tuple[int, int, str]:
    if isinstance(span, dict):
        span = [span.get(name) for name in ("start", "end", "label")]
    right = isinstance(span, list) and len(span) == 3 and isinstance(span[2], str) and span[2]
    if not right or any(type(place) is not int for place in span[:2]):
        raise BadRow(f"{where}: {span!r} is no span; write {{start, end, label}} or [start, end, label]")
    start, end, label = span
    if not 0 <= start < end <= len(text):
        raise BadRow(
            f"{where}: the span {label!r} from {start} to {end} is not inside the text of {len(text)} characters"
        )
    if not text[start:end].strip():
        raise BadRow(f"{where}: the span {label!r} from {start} to {end} holds white space alone; remove it")
    return start, end, label
