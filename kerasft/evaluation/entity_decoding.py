"""Logits of a whole split -> entities, by the decoder that is served."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kerasft.data.prepared.spans import Spans
from kerasft.data.prepared.token_windows import PreparedWindows
from kerasft.models.heads.crf import TagScores
from kerasft.models.heads.entities import Entities, find_entities


def decode_split(
    split: PreparedWindows, logits: np.ndarray, types: int, chain: TagScores | None, texts_at_once: int
) -> tuple[Spans, np.ndarray]:
    """The entities of every text, and the score of each.

    Args:
        split: the windows.
        logits: (tokens, tags) of all windows.
        types: how many there are.
        chain: of a CRF.
        texts_at_once: texts of a call of the decoder.
    """

    @tf.function(reduce_retracing=True, autograph=False)
    def decode(scores: tf.Tensor, counts: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> Entities:
        return find_entities(scores, counts, starts, ends, types, chain)

    unit_scores = logits[split.answers]  # (units, tags), in the order of units
    bounds = np.searchsorted(split.units.texts, np.arange(split.texts + 1))
    parts = []
    for first in range(0, split.texts, texts_at_once):
        ends = bounds[first : first + texts_at_once + 1]
        part = slice(ends[0], ends[-1])
        starts, stops = (
            bounds_of_units[part].astype(np.int32) for bounds_of_units in (split.units.starts, split.units.ends)
        )
        entities = decode(*map(tf.constant, (unit_scores[part], np.diff(ends), starts, stops)))
        parts.append([values.numpy() for values in entities])
    counts, starts, ends, kinds, scores = (np.concatenate(column) for column in zip(*parts))
    texts = np.repeat(np.arange(split.texts), counts)
    return Spans(texts, starts.astype(np.int64), ends.astype(np.int64), kinds.astype(np.int64)), scores
