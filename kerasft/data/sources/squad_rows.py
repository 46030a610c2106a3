"""Rows of a SQuAD file, v1.1 or v2.0: articles of paragraphs of questions, one article held at a time."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from kerasft.data.sources.json_text import JsonText
from kerasft.data.sources.reading import Reading, Row
from kerasft.errors import UserError
from kerasft.quoting import cut, quoted

_BEGINNING = re.compile(
    rb'\s*\{\s*("[^"\\]*"\s*:\s*("[^"\\]*"|[\w.+-]+)\s*,\s*)*"data"\s*:\s*\[\s*\{\s*("title"|"paragraphs")\s*:',
    re.ASCII,
)


def is_squad(start: bytes) -> bool:
    """Whether a JSON text that begins so is a SQuAD file; other keys may stand before its data."""
    return _BEGINNING.match(start) is not None


def is_article(values: dict[str, Any]) -> bool:
    """Whether an object is an article of a SQuAD file."""
    return isinstance(values.get("paragraphs"), list)


def read_squad(stream: io.BufferedReader, name: str, reading: Reading) -> Iterator[Row]:
    """{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question", "answers"}]}]}]} -> a row a question.

    A row has id, title, context, question and answers. A question with `is_impossible` has no answers; its
    `plausible_answers` are left out. Its place is FILE:LINE of the article, and the question's id.

    Raises:
        UserError: the JSON is broken, or a part of it is not as above.
    """
    text = JsonText(stream, name, reading)
    start = text.where()
    has_data = False
    for key in text.keys():
        if key == "data":
            has_data = True
            for article, where in text.objects():
                yield from questions(article, where)
        else:
            text.value()
    text.end("the object")
    if not has_data:
        raise UserError(f'{start}: no "data" in the file; SQuAD files are {{"data": [ARTICLE, ...]}}')


def questions(article: dict[str, Any], where: str) -> Iterator[Row]:
    """The questions of an article, each a row. Raises UserError."""
    for paragraph in _part(article, "paragraphs", list, "the article", where):
        context = _part(paragraph, "context", str, "a paragraph", where)
        for question in _part(paragraph, "qas", list, "a paragraph", where):
            text = _part(question, "question", str, "a question", where)
            name = str(question.get("id", ""))
            values = {"id": name, "title": article.get("title", ""), "context": context, "question": text}
            impossible = question.get("is_impossible")
            if impossible not in (None, False, True):
                raise UserError(f"{where}: is_impossible is {quoted(impossible)}; write true or false")
            if impossible:
                values["answers"] = []
            elif "answers" in question:
                values["answers"] = question["answers"]
            yield values, f"{where}, question {cut(name)}" if name else where


def _part(values: Any, name: str, kind: type, what: str, where: str) -> Any:
    if not isinstance(values, dict) or not isinstance(values.get(name), kind):
        form = {list: "a list", str: "a text"}[kind]
        raise UserError(f"{where}: {what} has no {name!r} that is {form}; SQuAD's own files show the form")
    return values[name]
