"""What tasks that write texts have in common: the numbers of a request, answers as rows, samples for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasft.config.text_generation import Decoding
from kerasft.tasks.base import Number


def request_numbers(told: Decoding) -> dict[str, dict[str, Number]]:
    """The signature `generate`, with wishes as `kerasft.models.generation.Wishes` has them; beams draw nothing."""
    limit = {"max_new_tokens": Number("int32", (told.max_new_tokens, 3, 0, 1))}
    if told.beams > 1:
        return {"generate": limit}
    return {
        "generate": {
            **limit,
            "temperature": Number("float32", (told.temperature, 1.0, 0.0)),
            "top_p": Number("float32", (told.top_p, 0.5)),
            "seed": Number("int64", (told.seed, -1, 7, 2**40, 3)),
        }
    }


def text_rows(outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """What a generator answers -> a JSON-able row of each."""
    return [
        {"text": text.decode("utf-8"), "tokens": count}
        for text, count in zip(outputs["text"].tolist(), outputs["tokens"].tolist())
    ]


def drawn_samples(answers: list[dict[str, Any]], given: str, most: int, seed: int) -> list[dict[str, Any]]:
    """Rows of `predictions` drawn by the seed, right and wrong ones, as a report shows them.

    Args:
        answers: with `truth` and `text`.
        given: the key of what was to be answered.
        most: rows.
        seed: of the draw.
    """
    drawn = np.random.default_rng(seed).permutation(len(answers))[:most]
    rows = [answers[row] for row in np.sort(drawn)]
    return [{"text": row[given], "truth": row["truth"], "prediction": row["text"]} for row in rows]
