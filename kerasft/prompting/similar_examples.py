"""Examples that are like the text which is asked about (Liu et al. 2022, arXiv:2101.06804), chosen in graph.

There they are near by an encoder's vectors. Here nothing but the decoder is at hand, so they are near by their tokens:
cosines of counts that weigh the less the more examples have a token (TF-IDF, Spärck Jones 1972).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from kerasft.models.preprocessing.ragged_rows import side_by_side


class SimilarExamples:
    """Texts -> the tokens that stand before each.

    Args:
        texts: token ids of each candidate's texts.
        first: token ids of each candidate where it stands first.
        following: token ids of it behind another one.
        count: how many of them a prompt has.
        room: most tokens of all of them; those that are least like the text are left out first.
    """

    def __init__(
        self,
        texts: Sequence[Sequence[int]],
        first: Sequence[Sequence[int]],
        following: Sequence[Sequence[int]],
        count: int,
        room: int,
    ):
        known = sorted({token for tokens in texts for token in tokens})
        self._columns = np.full(max(known, default=0) + 2, len(known), np.int32)  # token -> column; the last: unknown
        self._columns[known] = np.arange(len(known))
        counts = np.zeros((len(texts), len(known) + 1), np.float32)
        for row, tokens in enumerate(texts):
            np.add.at(counts[row], self._columns[list(tokens)], 1.0)
        rarity = np.log((1 + len(texts)) / (1 + (counts > 0).sum(0))) + 1.0
        weights = counts * rarity
        lengths = np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-9)
        self._weights = (weights / lengths * rarity).T.astype(np.float32)  # (columns, candidates)
        every = [*first, *following]
        self._flat = np.concatenate([np.asarray(tokens, np.int32) for tokens in every])
        self._splits = np.cumsum([0, *map(len, every)], dtype=np.int64)
        self._lengths = np.array([max(map(len, pair)) for pair in zip(first, following)], np.int32)
        self._count, self._room = min(count, len(texts)), room

    def __call__(self, segments: Sequence[tf.RaggedTensor]) -> tf.RaggedTensor:
        """[(batch, tokens), ...] of the texts of rows -> (batch, tokens) of whole examples, the most alike last."""
        tokens = side_by_side(list(segments))
        best = tf.math.top_k(self._likeness(tokens), self._count).indices  # (batch, count), the most alike first
        fits = tf.cumsum(tf.gather(self._lengths, best), axis=1) <= self._room
        order, kept = tf.reverse(best, [1]), tf.reverse(fits, [1])
        # The first that is kept has nothing before it.
        begins = tf.equal(tf.cumsum(tf.cast(kept, tf.int32), axis=1), 1)
        places = tf.where(begins, order, order + len(self._lengths))
        examples = tf.RaggedTensor.from_row_splits(tf.constant(self._flat), tf.constant(self._splits), validate=False)
        return tf.gather(examples, tf.ragged.boolean_mask(places, kept)).merge_dims(1, 2)

    def _likeness(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        """(batch, candidates), as large as the cosine but for the text's own length."""
        ids = tf.minimum(tokens.flat_values, len(self._columns) - 1)
        each = tf.gather(self._weights, tf.gather(self._columns, ids))  # (tokens, candidates)
        rows = tf.cast(tokens.value_rowids(), tf.int32)
        return tf.math.unsorted_segment_sum(each, rows, tf.cast(tokens.nrows(), tf.int32))
