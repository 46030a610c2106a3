"""Entities as rows that JSON can hold, and as the arrays that a server watches."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from kerasft.data.prepared.spans import Spans


def entity_rows(outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """What `decode` gave -> the entities of each text."""
    names = {"text": "entities", "type": "types", "start": "starts", "end": "ends", "score": "scores"}
    columns = [outputs[name].tolist() for name in names.values()]
    return [
        {"entities": [dict(zip(names, map(_plain, entity))) for entity in list(zip(*row))[:count]]}
        for *row, count in zip(*columns, outputs["count"].tolist())
    ]


def padded_entities(predicted: Spans, scores: np.ndarray, texts: int, labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Entities of a split by the names of a served model's outputs: {types, scores: (texts, most), count: (texts,)}."""
    names = np.array(labels, object)[predicted.types]
    rows_of_text = predicted.by_text(texts)
    counts = np.array([len(at) for at in rows_of_text])
    padded = {name: np.zeros((len(rows_of_text), max(counts, default=0)), object) for name in ("types", "scores")}
    for number, at in enumerate(rows_of_text):
        padded["types"][number, : len(at)], padded["scores"][number, : len(at)] = names[at], scores[at]
    return padded | {"count": counts}


def entity_verdict(answer: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[Hashable, float]:
    """Entities are their words and types, wherever they stand; right as F1 counts them, 1 where there are none."""
    spans = zip(row["starts"], row["ends"], row["label"])
    true = {(row["text"][start:end].casefold(), kind) for start, end, kind in spans}
    given = {(entity["text"].casefold(), entity["type"]) for entity in answer["entities"]}
    size = len(true) + len(given)
    return tuple(sorted(given)), 2 * len(true & given) / size if size else 1.0


def _plain(value: Any) -> Any:
    return value.decode("utf-8") if isinstance(value, bytes) else value
