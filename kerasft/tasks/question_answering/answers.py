"""Answers to questions as rows that JSON can hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.tasks.base import DECODED_AT_ONCE

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table


def predicted_answers(
    table: Table, decoded: Mapping[str, np.ndarray], exact: np.ndarray, f1: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Rows of predictions/: each question with its truth, its answer and how right that is.

    Args:
        table: the split.
        decoded: what `answers` gave, (rows, ...) each.
        exact, f1: (rows,) of each answer.
    """
    batches = table.batches(DECODED_AT_ONCE)
    questions = (dict(zip(batch, values)) for batch in batches for values in zip(*batch.values()))
    for number, row in enumerate(questions):
        context, spans = row["context"], {name: values[number] for name, values in decoded.items()}
        texts = {
            "answer": cut(context, spans["start"], spans["end"]),
            "answers": [cut(context, start, end) for start, end in zip(spans["starts"], spans["ends"])],
        }
        yield {
            **({"id": row["id"]} if row["id"] is not None else {}),
            "question": row["question"],
            "context": context,
            "truth": [context[start:end] for start, end in zip(row["starts"], row["ends"])],
            **json_answer(spans | texts),
            "exact_match": bool(exact[number]),
            "f1": float(f1[number]),
        }


def cut(context: str, start: int, end: int) -> str:
    """A part of a context; of no place, an empty text."""
    return context[start:end] if start >= 0 else ""


def json_answer(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of `decode`'s outputs, without the batch -> JSON-able."""
    columns = [row[name] for name in ("answers", "starts", "ends", "scores")]
    return {
        "answer": _text(row["answer"]),
        "start": int(row["start"]),
        "end": int(row["end"]),
        "score": float(row["score"]),
        "n_best": [
            {"text": _text(text), "start": int(start), "end": int(end), "score": float(score)}
            for text, start, end, score in zip(*columns)
            if start >= 0
        ],
    }


def _text(value: str | bytes) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else value
