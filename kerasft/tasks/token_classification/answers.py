"""Entities as rows that JSON can hold, and as the arrays that a server watches."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.tasks.base import Unreachable

if TYPE_CHECKING:
    from kerasft.data.prepared.spans import Spans
    from kerasft.data.prepared.token_windows import PreparedWindows


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


def unreachable_entities(split: PreparedWindows, units: str) -> Unreachable:
    """How many true entities no answer can equal, as `task.units` cuts the texts."""
    from kerasft.evaluation.entity_metrics import reachable

    missed = ~reachable(split.gold, split.units)
    first = int(split.gold.texts[missed][0]) if missed.any() else None
    fix = "Fix the spans, or cut texts finer: task.units: pieces."
    if units != "pieces":
        fix = f"Fix the spans, or set task.units, now {units}, to {'tokens' if units == 'spaces' else 'pieces'}."
    return Unreachable(int(missed.sum()), len(missed), "entities begin or end inside a unit", fix, first)
