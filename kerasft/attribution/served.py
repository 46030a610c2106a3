"""What an export's signature `explain` gives -> explanations word by word, as `kerasft explain` prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.attribution.base import Attributed, Question, by_word
from kerasft.attribution.words import words_of, words_of_tokens

SIGNATURE = "explain"
SERVED_POINTS = 32


def explanations(
    outputs: Mapping[str, np.ndarray], rows: Sequence[Mapping[str, str]], inputs: Sequence[str]
) -> list[dict[str, Any]]:
    """One JSON-able dict a row; see `kerasft.attribution.explainer.as_json`.

    Args:
        outputs: of the signature, for these rows.
        rows: {input: text}.
        inputs: names of the texts, in the model's order.
    """
    found = []
    for number, row in enumerate(rows):
        texts = [row[name] for name in inputs]
        words, columns = words_of(texts), outputs["columns"][number]
        offsets = np.stack([outputs["starts"][number], outputs["ends"][number]], 1)
        of_token = words_of_tokens(words, offsets, columns)
        question = Question({}, of_token, len(words), np.zeros((1, 1)), np.ones(1))
        sums, rest = by_word(question, outputs["scores"][number])
        label, method = (_text(outputs[name][number]) for name in ("label", "method"))
        points = SERVED_POINTS if method == "integrated_gradients" else 1
        value, baseline = float(outputs["value"][number]), float(outputs["baseline"][number])
        result = Attributed(sums, rest, value, baseline, points)
        facts = {"label": label, "method": method}
        found.append({"row": number} | facts | described(result, question.read(), words, texts, inputs))
    return found


def _text(value: bytes | str) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def described(
    result: Attributed, read: np.ndarray, words: Sequence[Any], texts: Sequence[str], inputs: Sequence[str]
) -> dict[str, Any]:
    """Figures and words of an explanation, JSON-able.

    Args:
        result: what each word adds.
        read: (words,) bool, whether the model reads each.
        words: their places.
        texts: of the row.
        inputs: names of the texts.
    """
    return {
        "completeness_gap": result.gap,
        "value": result.value,
        "baseline": result.baseline,
        "remainder": result.remainder,
        "points": result.points,
        "words": [
            {
                **({"input": inputs[word.column]} if len(inputs) > 1 else {}),
                "text": texts[word.column][word.start : word.end],
                "start": word.start,
                "end": word.end,
                "score": float(score) if seen else None,
            }
            for word, score, seen in zip(words, result.words, read)
        ],
    }
