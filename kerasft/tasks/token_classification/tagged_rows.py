"""Records with tokens and tags, or with a text and spans -> a text and its entities."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from kerasft.data.sources.annotations import plain_span, span_offsets
from kerasft.data.sources.edges import trimmed, trimmed_span
from kerasft.data.sources.literals import NoLiteral, looks_like_list, read_list, read_literal
from kerasft.data.sources.scripts import unspaced
from kerasft.errors import BadRow
from kerasft.quoting import quoted
from kerasft.tasks.base.columns import text_of
from kerasft.tasks.problems.names import NoName, name_of, read_name
from kerasft.tasks.token_classification.tags import IllFormed, spans_of_tags, tag_form

if TYPE_CHECKING:
    from kerasft.data.sources.sources import Record


_UNORDERED = re.compile(r"\s*(?:frozenset|set|\{)")  # a set of tokens has lost their order
_BETWEEN = re.compile(r"[ \t\r\n]+")  # not no-break spaces, which stand inside a token


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
    """The tokens of a record, without what is blank at their edges. Raises BadRow.

    A list of strings, also one that was written as text; or one string with spaces between them.
    """
    value = record.get(column, "tokens")
    tokens = _listed(value)
    if tokens is None:
        raise BadRow(
            f"{record.where}: column {column!r} is {quoted(value)}; a list of tokens is needed, in JSON, or spaces "
            "between them"
        )
    return [_token(token, number, record.where) for number, token in enumerate(tokens)]


def read_tagged(
    record: Record,
    tokens_column: str,
    tags_column: str,
    joiner: str,
    scheme: str,
    tag_counts: Counter[str] | None = None,
) -> dict[str, Any]:
    """A record of tokens and tags -> {text, starts, ends, types, word_starts, word_ends}.

    Args:
        record: as a reader gives it, with its place for messages.
        tokens_column, tags_column: their names.
        joiner: see `join`.
        scheme: see `spans_of_tags`.
        tag_counts: tags are counted here as they stand in the data.

    Raises:
        BadRow: tokens or tags are none, or do not belong together.
    """
    tokens = read_tokens(record, tokens_column)
    tags = read_tags(record, tags_column, scheme)
    if len(tags) != len(tokens):
        raise BadRow(
            f"{record.where}: {len(tokens)} tokens and {len(tags)} tags; each token needs one tag",
            "tokens without a tag",
        )
    if tag_counts is not None:
        tag_counts.update(tags)
    try:
        spans = spans_of_tags(tags, scheme)
    except IllFormed as error:
        what = f"{record.where}: {error}; fix it, or set task.scheme to auto"
        raise BadRow(what, "tags that break their scheme") from error
    text, starts, ends = join(tokens, joiner)
    bounds = [_visible_span(text, starts[first], ends[end - 1]) for first, end, _ in spans]
    return {
        "text": text,
        "starts": [start for start, _ in bounds],
        "ends": [end for _, end in bounds],
        "types": [kind for _, _, kind in spans],
        "word_starts": starts,
        "word_ends": ends,
    }


def read_spans(record: Record, text_column: str, spans_column: str) -> dict[str, Any]:
    """A record of a text and character spans -> what `read_tagged` gives, without words. Raises BadRow.

    A span is {start, end, label} or [start, end, label], in code points, its end one past the last. What is blank at
    its edges is left out.
    """
    text = text_of(record.get(text_column, "text"), text_column, record.where)
    value = record.get(spans_column, "spans")
    spans = sorted(_span(span, text, record.where) for span in _spans(value, spans_column, record.where))
    for (_, end, kind), (start, other_end, other) in itertools.pairwise(spans):
        if start < end:
            raise BadRow(
                f"{record.where}: the spans {quoted(kind)} ending at {end} and {quoted(other)} from {start} to "
                f"{other_end} overlap; keep one of them",
                "overlapping spans",
            )
    bounds = [trimmed_span(text, start, end) for start, end, _ in spans]
    return {
        "text": text,
        "starts": [start for start, _ in bounds],
        "ends": [end for _, end in bounds],
        "types": [kind for _, _, kind in spans],
        "word_starts": [],
        "word_ends": [],
    }


def _listed(value: Any) -> list | None:
    """A list; one that was written as text; or the parts of a text between white space of ASCII."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        ordered = not _UNORDERED.match(value)
        items = read_list(value) if ordered else None
        if items is not None and (not items or any(isinstance(item, str) for item in items)):
            return items
        return None if looks_like_list(value) else [part for part in _BETWEEN.split(value) if part]
    return list(value) if isinstance(value, (list, tuple)) else None


def _token(token: Any, number: int, where: str) -> str:
    with contextlib.suppress(NoName):
        if isinstance(token, str) and token.strip() and not trimmed(token):
            return token  # characters that nobody sees alone: they keep their tag
        return name_of(token)
    raise BadRow(f"{where}: token {number} is {quoted(token)}; leave it out, with its tag")


def read_tags(record: Record, column: str, scheme: str) -> list[str]:
    """The tags of a record, a name each. Raises BadRow."""
    value, where = record.get(column, "tags"), record.where
    # A tag never begins with a bracket, as a token may.
    tags = read_list(value) if isinstance(value, str) and value.lstrip().startswith("[") else _listed(value)
    if tags is None:
        raise BadRow(f"{where}: column {column!r} is {quoted(value)}; a list of tags is needed")
    if tags and all(isinstance(tag, (int, float)) or (scheme != "plain" and _is_number(tag)) for tag in tags):
        raise BadRow(
            f"{where}: column {column!r} is {quoted(value)}, numbers of tags; names are needed, such as O and B-PER: "
            "put the name of each number there, which the data set's own list has",
            "numbers for tags",
        )
    return [_tag(tag, column, where, value) for tag in tags]


def _is_number(tag: Any) -> bool:
    return isinstance(tag, str) and re.fullmatch(r"\d+(\.0)?", tag.strip()) is not None


def _tag(tag: Any, column: str, where: str, value: Any) -> str:
    try:
        name = name_of(tag)
    except NoName:
        raise BadRow(f"{where}: column {column!r} is {quoted(value)}; a list of tags is needed") from None
    parts = [part for part in re.split(r"[,;|\s]+", name) if part]
    if parts != [name] and parts and all(tag_form(part) for part in parts):
        what = "several tags" if len(parts) > 1 else "a tag and more"
        raise BadRow(
            f"{where}: {quoted(name)} in column {column!r} is {what}; put spaces between them, or write a list in JSON",
            "tags that are not separated by spaces",
        )
    prefix, dash, kind = name.partition("-")
    return prefix + dash + trimmed(kind) if dash and tag_form(name) else name


def _visible_span(text: str, start: int, end: int) -> tuple[int, int]:
    """A span without what is blank at its edges, unless all of it is."""
    begin, stop = trimmed_span(text, start, end)
    return (begin, stop) if begin < stop else (start, end)


def _spans(value: Any, column: str, where: str) -> list:
    if isinstance(value, str):  # a cell of a CSV file
        try:
            value = read_literal(value)
        except NoLiteral as error:
            raise BadRow(
                f"{where}: column {column!r} is not JSON, but {quoted(value)}; write [[start, end, label], ...], or [] "
                "where there is none"
            ) from error
    if not isinstance(value, list):
        raise BadRow(
            f"{where}: column {column!r} is {quoted(value)}; a list of spans is needed, [] where there is none"
        )
    return value


def _checked_offsets(text: str, start: int, end: int, there: str, where: str) -> tuple[int, int]:
    """The places of a span that comes with its own text, which may be counted in UTF-16 units."""
    with contextlib.suppress(LookupError):
        return span_offsets(text, start, end, there)
    raise BadRow(
        f"{where}: the span from {start} to {end} should be {quoted(there)}, but {quoted(text[max(0, start) : end])} "
        "is there; correct start and end",
        "spans that are not at their place",
    )


def _span(span: Any, text: str, where: str) -> tuple[int, int, str]:
    plain = plain_span(span) if isinstance(span, dict) else {}
    parts: Any = [plain.get(name) for name in ("start", "end", "label")] if plain else span
    right = isinstance(parts, list) and len(parts) == 3 and isinstance(parts[2], (str, bytes))
    if not right or any(type(offset) is not int for offset in parts[:2]):
        raise BadRow(f"{where}: {quoted(span)} is no span; write {{start, end, label}} or [start, end, label]")
    start, end, label = parts
    if isinstance(span, dict) and isinstance(span.get("text"), str):
        start, end = _checked_offsets(text, start, end, span["text"], where)
    label = read_name(label, f"the label of the span from {start} to {end}", where)
    if not 0 <= start < end <= len(text):
        raise BadRow(
            f"{where}: the span {quoted(label)} from {start} to {end} is not inside the text of {len(text)} characters",
            "spans outside their text",
        )
    if not trimmed(text[start:end]):
        raise BadRow(f"{where}: the span {quoted(label)} from {start} to {end} holds white space alone; remove it")
    return start, end, label
