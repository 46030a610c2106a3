"""Merges of a byte-pair vocabulary, applied to many words at once in graph, at a bounded cost for each byte.

All words take their steps together, one distinct merge of each word a step (Sennrich et al. 2016, arXiv:1508.07909).
That is quick for words as people write them, and quadratic for a word of many thousands of letters. So a long word is
cut, its parts are merged by themselves, and the cuts are fixed: tokens are those of the whole word if and only if any
two neighbours are what their own two texts together are merged to. (The first merge that would cross a border between
tokens of the whole would cross it in the pair as well: until then each token has only merged within itself.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.tokenizers.traced import traced_once

_NO_MERGE = np.int64(2**62)
_RANK = 1 << 31  # a merge is rank * _RANK + merged id, a pair left id * _RANK + right id
LONG = 128  # bytes of a word that is cut
PART = 32  # bytes of its parts
MOST = 1024  # bytes that are merged as one; words up to here are always merged as if they were not cut
FIRST_REACH, LAST_REACH = 4, MOST  # tokens on each side of a wrong cut that are merged anew, four times as many a round


class _Cuts(NamedTuple):
    """A word's tokens with the places that may be wrong; all (bytes,).

    Attributes:
        tokens: int64 the id of the token that starts at a byte, -1 where none does.
        cut: bool, whether what stands on both sides of a byte's start was merged apart and not compared yet.
    """

    tokens: tf.Tensor
    cut: tf.Tensor


class Merges(tf.Module):
    """The merges of a vocabulary.

    Args:
        vocabulary: token -> id; a character of a token stands for a byte.
        merges: "left right" each, the first to be merged first.

    Raises:
        UserError: a merge needs a token that the vocabulary lacks.
    """

    def __init__(self, vocabulary: dict[str, int], merges: list[str]):
        super().__init__(name="merges")
        self._table = _merge_table(vocabulary, merges)
        sizes = np.zeros(max(vocabulary.values()) + 1, np.int64)
        sizes[list(vocabulary.values())] = [len(token) for token in vocabulary]
        self._sizes = tf.constant(sizes)
        # Four places merge. One graph for all of them is a third of the operations, and of the time to build them.
        self._merge = traced_once(
            self._merge_whole, *[tf.TensorSpec(shape, tf.int64) for shape in ([None], [None], [])]
        )

    def sizes(self, tokens: tf.Tensor) -> tf.Tensor:
        """(tokens,) ids -> (tokens,) int64 bytes of each."""
        return tf.gather(self._sizes, tokens)

    def __call__(self, ids: tf.Tensor, word_of: tf.Tensor, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(bytes,) int64 ids of single bytes and the words they are of, in order -> (tokens,) ids and their words."""
        lengths = tf.math.unsorted_segment_sum(tf.ones_like(ids), word_of, words)
        is_long = lengths > LONG
        return tf.cond(
            tf.reduce_any(is_long),
            lambda: self._merge_long(ids, word_of, words, tf.gather(is_long, word_of)),
            lambda: self._merge(ids, word_of, words),
        )

    def _merge_whole(self, ids: tf.Tensor, word_of: tf.Tensor, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As above, whatever it costs.

        Words that are done leave the loop, so that a step costs what is still to be merged, and return to their
        order at the end.
        """

        def step(ids: tf.Tensor, word_of: tf.Tensor, merged: tf.Tensor, merged_of: tf.Tensor) -> tuple[tf.Tensor, ...]:
            merge = self._table.lookup(ids[:-1] * _RANK + ids[1:])
            merge = tf.where(word_of[:-1] == word_of[1:], merge, _NO_MERGE)
            best = tf.gather(tf.math.unsorted_segment_min(merge, word_of[:-1], words), word_of)  # (symbols,)
            finished = best >= _NO_MERGE
            merged = tf.concat([merged, tf.boolean_mask(ids, finished)], 0)
            merged_of = tf.concat([merged_of, tf.boolean_mask(word_of, finished)], 0)
            match = _without_overlaps((merge == best[:-1]) & ~finished[:-1])
            left = tf.concat([match, [False]], 0)[: tf.size(ids)]
            right = tf.concat([[False], match], 0)[: tf.size(ids)]
            ids = tf.where(left, tf.concat([merge % _RANK, [0]], 0)[: tf.size(ids)], ids)
            keep = ~(right | finished)
            return tf.boolean_mask(ids, keep), tf.boolean_mask(word_of, keep), merged, merged_of

        _, _, merged, merged_of = tf.while_loop(
            lambda ids, word_of, merged, merged_of: tf.size(ids) > 0,
            step,
            (ids, word_of, tf.zeros([0], tf.int64), tf.zeros([0], tf.int64)),
            shape_invariants=(tf.TensorShape([None]),) * 4,
        )
        order = tf.argsort(merged_of, stable=True)
        return tf.gather(merged, order), tf.gather(merged_of, order)

    def _merge_long(
        self, ids: tf.Tensor, word_of: tf.Tensor, words: tf.Tensor, is_long: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        position = tf.range(tf.size(ids, out_type=tf.int64))
        opens = word_of != shift(word_of, -1, -1)
        offset = position - _of_last(opens, position)  # (bytes,) in its word
        cut = is_long & (offset % PART == 0) & ~opens
        cuts = self._merge_into(tf.fill(tf.shape(ids), tf.constant(-1, tf.int64)), ids, position, opens | cut, cut)

        def fix(tokens: tf.Tensor, cut: tf.Tensor, reach: tf.Tensor) -> tuple[tf.Tensor, ...]:
            inside = self._around_wrong(_Cuts(tokens, cut), ids, word_of, words, reach)
            starts = inside & (opens | ~shift(inside, -1, False))
            # What is merged as one stays bounded, however much of a word one of its ends could change.
            starts |= inside & ((position - _of_last(starts, position)) % MOST == 0)
            ends = ~inside & shift(inside, -1, False)
            indices = tf.where(inside)[:, 0]
            tokens = tf.where(inside, tf.constant(-1, tf.int64), tokens)
            merged = self._merge_into(tokens, ids, indices, tf.gather(starts, indices), (starts | ends) & ~opens)
            return merged.tokens, merged.cut, reach * 4

        tokens, _, _ = tf.while_loop(
            lambda tokens, cut, reach: tf.reduce_any(cut) & (reach <= LAST_REACH),
            fix,
            (cuts.tokens, cuts.cut, tf.constant(FIRST_REACH, tf.int64)),
            shape_invariants=(tf.TensorShape([None]), tf.TensorShape([None]), tf.TensorShape([])),
        )
        is_token = tokens >= 0
        return tf.boolean_mask(tokens, is_token), tf.boolean_mask(word_of, is_token)

    def _merge_into(
        self, tokens: tf.Tensor, ids: tf.Tensor, indices: tf.Tensor, starts: tf.Tensor, cut: tf.Tensor
    ) -> _Cuts:
        """Writes tokens over some bytes, those of each part merged by themselves.

        Args:
            tokens: (bytes,) as in _Cuts, -1 where this writes.
            ids: (bytes,) of single bytes.
            indices: (chosen,) which bytes, ascending.
            starts: (chosen,) bool, whether a part starts there.
            cut: (bytes,) bool for the result.
        """
        part_of = tf.cumsum(tf.cast(starts, tf.int64)) - 1
        parts = tf.reduce_sum(tf.cast(starts, tf.int64))
        merged, _ = self._merge(tf.gather(ids, indices), part_of, parts)
        targets = tf.gather(indices, tf.cumsum(self.sizes(merged), exclusive=True))
        return _Cuts(tf.tensor_scatter_nd_update(tokens, targets[:, tf.newaxis], merged), cut)

    def _around_wrong(
        self, cuts: _Cuts, ids: tf.Tensor, word_of: tf.Tensor, words: tf.Tensor, reach: tf.Tensor
    ) -> tf.Tensor:
        """(bytes,) bool, those of the `reach` tokens on each side of every cut that is wrong, within its word."""
        starts = tf.where(cuts.tokens >= 0)[:, 0]  # (tokens,)
        tokens = tf.gather(cuts.tokens, starts)
        right = tf.where(tf.gather(cuts.cut, starts))[:, 0]  # (cuts,) the token behind each
        right = tf.boolean_mask(right, ~self._agrees(tokens, starts, ids, right))
        token = tf.range(tf.size(tokens, out_type=tf.int64))
        token_word = tf.gather(word_of, starts)
        first = tf.gather(tf.math.unsorted_segment_min(token, token_word, words), tf.gather(token_word, right))
        last = tf.gather(tf.math.unsorted_segment_max(token, token_word, words), tf.gather(token_word, right))
        begin, end = tf.maximum(right - reach, first), tf.minimum(right + reach, last + 1)
        steps = tf.concat([tf.ones_like(begin), -tf.ones_like(end)], 0)
        open_ = tf.cumsum(tf.math.unsorted_segment_sum(steps, tf.concat([begin, end], 0), tf.size(tokens) + 1))[:-1]
        return tf.repeat(open_ > 0, self.sizes(tokens))

    def _agrees(self, tokens: tf.Tensor, starts: tf.Tensor, ids: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
        """(cuts,) bool, whether the tokens before and behind each are what their text is merged to."""
        begin = tf.gather(starts, right - 1)
        left_token, right_token = tf.gather(tokens, right - 1), tf.gather(tokens, right)
        size = self.sizes(left_token) + self.sizes(right_token)
        positions = tf.ragged.range(begin, begin + size)
        count = tf.size(right, out_type=tf.int64)
        merged, pair_of = self._merge(tf.gather(ids, positions.flat_values), positions.value_rowids(), count)
        of_pair = tf.math.unsorted_segment_sum(tf.ones_like(pair_of), pair_of, count)
        first = tf.gather(merged, tf.cumsum(of_pair, exclusive=True))
        return (of_pair == 2) & (first == left_token)


def _merge_table(vocabulary: dict[str, int], merges: list[str]) -> tf.lookup.StaticHashTable:
    keys, values = [], []
    for rank, merge in enumerate(merge for merge in merges if not merge.startswith("#version:")):
        left, _, right = merge.partition(" ")
        missing = [token for token in (left, right, left + right) if token not in vocabulary]
        if missing:
            raise UserError(
                f"model.preset: merge {rank} of the tokenizer, {merge!r}, needs the token {missing[0]!r}, "
                "which its vocabulary lacks; take vocabulary and merges from the same model"
            )
        keys.append(vocabulary[left] * _RANK + vocabulary[right])
        values.append(rank * _RANK + vocabulary[left + right])
    initializer = tf.lookup.KeyValueTensorInitializer(np.array(keys, np.int64), np.array(values, np.int64))
    return tf.lookup.StaticHashTable(initializer, default_value=_NO_MERGE)


def _without_overlaps(match: tf.Tensor) -> tf.Tensor:
    """(pairs,) bool: of a run of matching pairs, as in "aaa", keeps the first, third, ..."""
    position = tf.range(tf.size(match))
    opens = match & ~shift(match, -1, False)
    opening = tf.concat([[0], tf.boolean_mask(position, opens)], 0)
    in_run = position - tf.gather(opening, tf.cumsum(tf.cast(opens, tf.int32)))
    return match & (in_run % 2 == 0)


def _of_last(marked: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """(n,) bool, (n,) -> (n,) the value at the last marked place up to each; 0 before the first."""
    at = tf.concat([tf.zeros_like(values[:1]), tf.boolean_mask(values, marked)], 0)
    return tf.gather(at, tf.cumsum(tf.cast(marked, tf.int32)))


def shift(values: tf.Tensor, by: int, fill: int | bool) -> tf.Tensor:
    """(n,) -> (n,) whose element i is `values[i + by]`, or `fill` beyond the ends."""
    edge = tf.fill([tf.minimum(abs(by), tf.size(values))], tf.cast(fill, values.dtype))
    return tf.concat([values[by:], edge], 0) if by > 0 else tf.concat([edge, values[:by]], 0)
