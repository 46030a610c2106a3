"""Texts that a model is warmed up with: a short and a long form of a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kerasft.serving.adapter_facts import INPUT


def requests(sample: Mapping[str, str], max_length: int) -> tuple[dict[str, list[bytes]], dict[str, list[bytes]]]:
    """{column: (1,) byte strings}, a short one and one that fills the model: padding makes no other shapes.

    Only the last column is made long: the context of a question, the second text of a pair.
    """
    return rows_of_requests({column: [text] for column, text in sample.items()}, max_length)


def rows_of_requests(
    sample: Mapping[str, Sequence[str]], max_length: int
) -> tuple[dict[str, list[bytes]], dict[str, list[bytes]]]:
    """The same with some rows; names of adapters stay as they are."""
    short = {column: [text.encode("utf-8", "replace") for text in texts] for column, texts in sample.items()}
    column = [column for column in short if column != INPUT][-1]
    long = [b" ".join([text] * (max_length // max(1, len(text.split())) + 1)) for text in short[column]]
    return short, {**short, column: long}
