"""Scores of entities and of token tags, from spans of a whole split. No TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.data.prepared.spans import Spans
from kerasft.evaluation.metrics import averages_and_classes
from kerasft.evaluation.scores import Counts, single_label_counts


def entity_metrics(
    gold: Spans, predicted: Spans, words: Spans, units: Spans, labels: Sequence[str], texts: int
) -> dict[str, Any]:
    """Strict scores of entities: one is right where text, start, end and type are (seqeval's strict mode, IOB2).

    Args:
        gold: every entity of the data.
        predicted: every entity that was answered.
        words: the tokens that tags are counted over.
        units: what could begin and end an entity.
        labels: names of the types.
        texts: how many texts there are.

    Returns:
        rows (texts); precision, recall and f1 over all entities; {macro,micro,weighted}_{precision,recall,f1}
        over types; per_class {type: {precision, recall, f1, support}}; unreachable, the gold entities that end inside
        a unit, which no answer can hit; token, see `token_metrics`.
    """
    counts = entity_counts(gold, predicted, len(labels))
    scores = averages_and_classes(counts, labels)
    return {
        "rows": texts,
        "precision": scores["micro_precision"],
        "recall": scores["micro_recall"],
        "f1": scores["micro_f1"],
        **scores,
        "unreachable": int((~reachable(gold, units)).sum()),
        "token": token_metrics(gold, predicted, words, labels),
    }


def reachable(gold: Spans, units: Spans) -> np.ndarray:
    """(entities,) bool, whether each begins and ends where a unit does, so that an answer can equal it."""
    starts, ends = (_keys(units, offsets) for offsets in (units.starts, units.ends))
    return np.isin(_keys(gold, gold.starts), starts) & np.isin(_keys(gold, gold.ends), ends)


def entity_counts(gold: Spans, predicted: Spans, types: int) -> Counts:
    """How many entities of each type were right, answered and true."""
    right = predicted.types[_right(gold, predicted)]
    return Counts(*(np.bincount(each, minlength=types) for each in (right, predicted.types, gold.types)))


def counts_by_text(gold: Spans, predicted: Spans, texts: int) -> np.ndarray:
    """(texts, 3) int: entities that are right, answered and true, from which any resample's F1 follows."""
    right = predicted.texts[_right(gold, predicted)]
    return np.stack([np.bincount(each, minlength=texts) for each in (right, predicted.texts, gold.texts)], axis=1)


def f1_of_counts(counts: np.ndarray) -> float:
    """(texts, 3) of `counts_by_text` -> F1 over all; NaN where nothing is true or answered."""
    right, answered, true = counts.sum(axis=0)
    return 2.0 * right / (answered + true) if answered + true else float("nan")


def token_metrics(gold: Spans, predicted: Spans, words: Spans, labels: Sequence[str]) -> dict[str, Any]:
    """Scores of IOB2 tags over tokens; averages leave O out, as the entities' do.

    Returns:
        tokens; accuracy (O included); {macro,micro,weighted}_{precision,recall,f1}; per_class {tag: {...}} with O.
    """
    true, answered = (word_tags(spans, words) for spans in (gold, predicted))
    tags = [f"{prefix}-{label}" for label in labels for prefix in ("B", "I")]
    counts = single_label_counts(true, answered, len(tags) + 1)
    without = Counts(counts.correct[1:], counts.predicted[1:], counts.support[1:])
    everything = averages_and_classes(counts, ["O", *tags])
    return {
        "tokens": len(true),
        "accuracy": float((true == answered).mean()) if len(true) else None,
        **averages_and_classes(without, tags),
        "per_class": everything["per_class"],
    }


def word_tags(spans: Spans, words: Spans) -> np.ndarray:
    """(words,) int32 IOB2 tag of each: 0 for O, 1 + 2 t for B and 2 + 2 t for I of type t.

    A word belongs to the first span that it overlaps.
    """
    tags = np.zeros(len(words.texts), np.int32)
    first = np.searchsorted(_keys(words, words.ends), _keys(spans, spans.starts), side="right")
    after = np.searchsorted(_keys(words, words.starts), _keys(spans, spans.ends), side="left")
    for begin, end, kind in zip(first[::-1], after[::-1], spans.types[::-1]):
        # Backwards, so that where spans share a word the first has the last say.
        if begin < end:
            tags[begin] = 1 + 2 * kind
            tags[begin + 1 : end] = 2 + 2 * kind
    return tags


def _keys(spans: Spans, offsets: np.ndarray) -> np.ndarray:
    """(spans,) one int64 that sorts by text, then by place."""
    return (spans.texts.astype(np.int64) << 32) + offsets


def _right(gold: Spans, predicted: Spans) -> np.ndarray:
    """(predicted,) bool, whether each is in gold."""
    true = set(zip(*(values.tolist() for values in gold)))
    answered = zip(*(values.tolist() for values in predicted))
    return np.fromiter((span in true for span in answered), bool, len(predicted.texts))
