"""What gets a tag: units of a text, each a stretch of characters that begins with a token, in graph."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.data.sources.edges import INVISIBLE
from kerasft.data.sources.scripts import UNSPACED
from kerasft.models.tokenizers import unicode_table
from kerasft.models.tokenizers.offsets import Pieces

Kind = Literal["tokens", "words", "pieces", "spaces"]


class Units(NamedTuple):
    """The units of a batch of texts, row after row.

    Attributes:
        counts: (batch,) int64 units of each text.
        starts, ends: (all units,) int32 code points in the text. They do not overlap, but for several pieces of one
            character.
        opening: (all tokens,) int32 the number of the unit in its text that a token opens, otherwise -1.
    """

    counts: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    opening: tf.Tensor


class Segmenter(tf.Module):
    """Puts the tokens of texts together to units.

    White space and what can't be seen does not belong to a unit at its edges, as it is cut off true spans; accents
    after it do, even where the tokenizer strips them. A token of nothing else is no unit.

    Args:
        kind: `tokens`, what stands between white space without the punctuation at its edges, each sign of that a unit
            of its own, as are the characters of scripts without spaces and what follows an apostrophe: near to how
            data sets are tokenized; `words`, as the tokenizer splits texts before it cuts them; `pieces`, every piece;
            `spaces`, what stands between white space.
    """

    def __init__(self, kind: Kind):
        super().__init__(name="segmenter")
        self.kind = kind
        self._spaces = tf.constant(sorted(unicode_table.SPACES))
        self._marks = _Ranges(*unicode_table.mark_ranges())
        self._edges = _Ranges(*unicode_table.edge_ranges())
        self._invisible = _Ranges(*(np.array(sorted(INVISIBLE), np.int32).T + [[0], [1]]))
        self._unspaced = _Ranges(*np.array(sorted(UNSPACED), np.int32).T + [[0], [1]])

    def __call__(self, text: tf.Tensor, pieces: Pieces) -> Units:
        """(batch,) valid UTF-8 and its pieces -> its units."""
        codes = tf.strings.unicode_decode(text, "UTF-8")
        flat, row_of = codes.flat_values, tf.cast(pieces.ids.value_rowids(), tf.int32)
        row_starts = tf.cast(codes.row_starts(), tf.int32)
        base = tf.gather(row_starts, row_of)  # (tokens,), so that offsets run through the batch
        space = tf.reduce_any(flat[:, tf.newaxis] == self._spaces, axis=1)
        visible = ~(space | self._invisible.hold(flat))
        starts = tf.minimum(tf.gather(_next_true(visible), base + pieces.starts), base + pieces.ends)
        tokens_with_text = tf.where(starts < base + pieces.ends)[:, 0]  # tokens that have something to see
        ends = tf.gather(_after_true(visible), base + pieces.ends)
        starts, ends, rows = (tf.gather(values, tokens_with_text) for values in (starts, ends, row_of))
        word_of = tf.cumsum(tf.cast(pieces.opens_word, tf.int32))
        opens = self._opens(tf.gather(word_of, tokens_with_text), starts, ends, rows, flat, space)
        unit_of = tf.cumsum(tf.cast(opens, tf.int32)) - 1
        count = tf.reduce_sum(tf.cast(opens, tf.int32))
        unit_starts, unit_rows = tf.boolean_mask(starts, opens), tf.boolean_mask(rows, opens)
        ends = tf.math.unsorted_segment_max(ends, unit_of, count)
        limits = tf.gather(tf.cast(codes.row_limits(), tf.int32), unit_rows)
        ends = self._with_marks(ends, unit_starts, limits, flat)
        counts = tf.math.unsorted_segment_sum(tf.ones_like(unit_rows, tf.int64), unit_rows, codes.nrows())
        number = unit_of - tf.cast(tf.gather(tf.cumsum(counts, exclusive=True), rows), tf.int32)
        tokens = tf.size(row_of)[tf.newaxis]
        opening = (
            tf.scatter_nd(tokens_with_text[:, tf.newaxis], tf.where(opens, number + 1, 0), tf.cast(tokens, tf.int64))
            - 1
        )
        unit_base = tf.gather(row_starts, unit_rows)
        return Units(counts, unit_starts - unit_base, ends - unit_base, opening)

    def _opens(
        self,
        word_of: tf.Tensor,
        starts: tf.Tensor,
        ends: tf.Tensor,
        rows: tf.Tensor,
        codes: tf.Tensor,
        space: tf.Tensor,
    ) -> tf.Tensor:
        """(tokens,) whether each opens a unit."""
        if self.kind == "pieces":
            return tf.ones_like(word_of, tf.bool)
        if self.kind == "words":
            return _changes(word_of) | _changes(rows)
        spaces = tf.gather(tf.cumsum(tf.cast(space, tf.int32)), starts)  # white space before each token
        apart = _changes(spaces) | _changes(rows)
        if self.kind == "spaces":
            return apart
        first, last = tf.gather(codes, starts), tf.gather(codes, ends - 1)
        unspaced = self._unspaced.hold(first)
        inner = ~(self._edges.hold(first) & self._edges.hold(last))
        index = tf.range(tf.size(starts))
        chunk = tf.cumsum(tf.cast(apart, tf.int32)) - 1
        chunks = tf.reduce_sum(tf.cast(apart, tf.int32))
        # (chunks,) the first and the last token that is no punctuation, where there is one
        begin = tf.math.unsorted_segment_min(tf.where(inner, index, tf.size(index)), chunk, chunks)
        end = tf.math.unsorted_segment_max(tf.where(inner, index, -1), chunk, chunks)
        at_edge = (index <= tf.gather(begin, chunk)) | (index > tf.gather(end, chunk))
        new_word = _changes(word_of) | apart
        apostrophe = (first == ord("'")) | (first == ord("\u2019"))
        beside = unspaced | tf.concat([[False], unspaced[:-1]], 0)[: tf.size(unspaced)]
        return apart | (new_word & (at_edge | apostrophe | beside))

    def _with_marks(self, ends: tf.Tensor, starts: tf.Tensor, limits: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        """(units,) ends moved over the nonspacing marks behind them, as far as the next unit or the text's end."""
        is_mark = self._marks.hold(codes)
        moved = tf.gather(_next_true(~is_mark), ends)
        following = tf.concat([starts[1:], [tf.size(codes)]], 0)[: tf.size(starts)]
        return tf.maximum(ends, tf.minimum(tf.minimum(moved, limits), following))


class _Ranges(tf.Module):
    """Ascending ranges of code points.

    Args:
        starts: the first of each.
        ends: one past the last of each.
    """

    def __init__(self, starts: np.ndarray, ends: np.ndarray):
        super().__init__(name="ranges")
        self._starts, self._ends = (tf.constant(bounds, tf.int32) for bounds in (starts, ends))

    def hold(self, codes: tf.Tensor) -> tf.Tensor:
        """(characters,) -> (characters,) bool."""
        index = tf.searchsorted(self._starts, codes, side="right") - 1
        return (index >= 0) & (codes < tf.gather(self._ends, tf.maximum(index, 0)))


def _changes(values: tf.Tensor) -> tf.Tensor:
    """(n,) -> (n,) bool, whether each differs from the one before; the first does."""
    return tf.concat([[True], values[1:] != values[:-1]], 0)[: tf.size(values)]


def _next_true(flags: tf.Tensor) -> tf.Tensor:
    """(n,) bool -> (n + 1,) int32: the first place at or after each where the flag is set, or n."""
    count = tf.size(flags)
    indices = tf.concat([tf.cast(tf.where(flags)[:, 0], tf.int32), [count]], 0)
    return tf.gather(indices, tf.searchsorted(indices, tf.range(count + 1)))


def _after_true(flags: tf.Tensor) -> tf.Tensor:
    """(n,) bool -> (n + 1,) int32: one past the last place before each where the flag is set, or 0."""
    indices = tf.concat([[0], tf.cast(tf.where(flags)[:, 0], tf.int32) + 1], 0)
    return tf.gather(indices, tf.searchsorted(indices, tf.range(tf.size(flags) + 1), side="right") - 1)
