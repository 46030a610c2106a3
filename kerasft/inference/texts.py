"""Texts as a caller gives them -> rows of a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

from kerasft.errors import UserError

Row = dict[str, str]
Texts = Union[Sequence[str], Sequence[Mapping[str, str]], Mapping[str, Sequence[str]]]


def rows_of(texts: Texts, inputs: Sequence[str]) -> list[Row]:
    """What `Predictor.answer` takes -> a row, {input: text}, for each text."""
    if isinstance(texts, (str, bytes)):
        raise UserError(f"{_cut(texts)} is one text; give a list of texts")
    if isinstance(texts, Mapping):
        missing = [name for name in inputs if name not in texts]
        if missing:
            raise UserError(f"there is no {missing[0]!r} among {sorted(texts)}; the model reads {', '.join(inputs)}")
        counts = {name: len(texts[name]) for name in inputs}
        if len(set(counts.values())) > 1:
            raise UserError(f"there are {counts} texts; give as many of each")
        texts = [dict(zip(inputs, row)) for row in zip(*(texts[name] for name in inputs))]
    return [_row(text, i, inputs) for i, text in enumerate(texts)]


def _row(text: Any, index: int, inputs: Sequence[str]) -> Row:
    if isinstance(text, str) and len(inputs) == 1:
        text = {inputs[0]: text}
    if not isinstance(text, Mapping):
        need = "a string" if len(inputs) == 1 else f"a dict of {', '.join(inputs)}"
        raise UserError(f"text {index}: {_cut(text)} is not {need}")
    for name in inputs:
        if not isinstance(text.get(name), str):
            raise UserError(f"text {index}: {name!r} is {_cut(text.get(name))}; a string is needed")
    # A lone surrogate has no UTF-8 form.
    return {name: text[name].encode("utf-8", "replace").decode("utf-8") for name in inputs}


def _cut(value: Any) -> str:
    excerpt = repr(value)
    return excerpt if len(excerpt) <= 60 else f"{excerpt[:57]}..."
