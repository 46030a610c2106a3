"""Sentences of CoNLL files: a token a line with its columns, an empty line between sentences."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from kerasft.data.sources.edges import trimmed
from kerasft.data.sources.reading import Reading, Row
from kerasft.data.sources.text_streams import read_lines
from kerasft.errors import UserError

DOCUMENT = "-DOCSTART-"
_TAG = re.compile(r"O|[A-Z]-\S+")  # of a scheme; it tells a token `#` from a comment
_NO_WORD = re.compile(r"\d+[-.]\d+")  # in CoNLL-U, numbers of contractions (1-2) and of words that are left out (1.1)
_NUMBER = re.compile(r"\d+([-.]\d+)?")
UNIVERSAL = 10  # columns of CoNLL-U: number, form, lemma, part of speech, ...


def read_conll(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """Lines of columns with spaces or tabs between them -> a row a sentence; its place is that of its first token.

    A row has lists: `tokens` (the first column), `tags` (the last one), and every column by its number as a text, `1`,
    `2`, ...; in CoNLL-U, whose ten columns begin with a number, tokens are the second and tags the fourth. Lines
    `-DOCSTART-` are left out, and comments, which begin with # where a sentence may begin.

    Raises:
        UserError: a line has another number of columns than the first, or a sentence is larger than a row may be.
    """
    width, universal = 0, False
    tokens: list[list[str]] = []
    first, size = 0, 0
    for number, line in enumerate(read_lines(stream, name, reading), 1):
        line = line.rstrip(" \t\r\n")
        fields = _fields(line)
        if not fields or fields[0] == DOCUMENT:
            if tokens:
                yield _row(tokens, universal), f"{name}:{first}"
            tokens = []
            continue
        if not tokens and _is_comment(line, fields, width):
            continue
        if not width:
            width, universal = len(fields), len(fields) == UNIVERSAL and _NUMBER.fullmatch(fields[0]) is not None
        if len(fields) != width or not fields[0]:
            raise UserError(
                f"{name}:{number}: {len(fields)} columns where the lines before have {width}: {line[:60]!r}; each line "
                "is a token with its columns, and sentences have an empty line between them"
            )
        if universal and _NO_WORD.fullmatch(fields[0]):
            continue
        first, size = (first, size + len(line)) if tokens else (number, len(line))
        reading.check_size(size, f"{name}:{first}")
        tokens.append(fields)
    if tokens:
        yield _row(tokens, universal), f"{name}:{first}"


def _fields(line: str) -> list[str]:
    """Columns between tabs, or between spaces where there is no tab; no-break spaces are part of a token."""
    if not trimmed(line):
        return []
    if "\t" in line:
        return [field.strip(" ") for field in line.split("\t")]
    return re.split(" +", line.strip(" "))


def _is_comment(line: str, fields: list[str], width: int) -> bool:
    if not line.startswith("#"):
        return False
    is_token = len(fields) == width or (not width and len(fields) > 1)
    return not (is_token and (_TAG.fullmatch(fields[-1]) or not line.startswith("# ")))


def _row(tokens: list[list[str]], universal: bool) -> dict[str, list[str]]:
    columns = [list(column) for column in zip(*tokens)]
    row = {"tokens": columns[1 if universal else 0]}
    if len(columns) > 1:
        row["tags"] = columns[3 if universal else -1]
    return row | {str(number): column for number, column in enumerate(columns, 1)}
