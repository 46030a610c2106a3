"""Texts with two marked entities -> what a backbone reads, in graph; long texts are cut around the entities."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import keras
import keras_hub
import tensorflow as tf

from kerasft.models.preprocessing.preprocessor import TextPreprocessor, text_preprocessor
from kerasft.models.tokenizers.encoder import clean

FEWEST_TOKENS = 6  # of a text: four markers and a token of each entity
_KEPT, _FAR = -1, 2**30


class RelationPreprocessor(TextPreprocessor):
    """A text preprocessor that never cuts a marker off.

    Of a text that is too long the tokens nearest to an entity are kept, and every marker: where the entities are
    far apart, the middle goes.

    Args:
        plain: what it is but for the markers.
        markers: (4,) opening and closing marker of the first entity, then of the second, as texts spell them.
        marker_ids: (4,) their ids.
    """

    def __init__(self, plain: TextPreprocessor, markers: Sequence[str], marker_ids: Sequence[int]):
        super().__init__(plain.encoder, plain.layout, plain.pad_values, plain.max_length, plain.inputs)
        self.marker_ids = tuple(marker_ids)
        self._spaced = rf"\s+({'|'.join(re.escape(marker) for marker in markers)})\s*"

    def _segments(self, columns: Mapping[str, tf.Tensor]) -> list[tf.RaggedTensor]:
        # The space before a word belongs to the word: byte-level BPE would otherwise give the entity's first word
        # the id of a word's middle, and the space an id of its own. WordPiece does not see the difference.
        text = tf.strings.regex_replace(clean(columns["text"]), self._spaced, r"\1 ")
        return [self.encoder(text)]

    def _fit(self, segments: list[tf.RaggedTensor], budget: int) -> list[tf.RaggedTensor]:
        (tokens,) = segments
        order = tf.argsort(_sort_keys(tokens, self.marker_ids), stable=True)  # row after row, the dearest first
        lengths = tokens.row_lengths()
        place = tf.range(tf.size(order, out_type=tf.int64)) - tf.repeat(tokens.row_starts(), lengths)
        kept = tf.sort(tf.boolean_mask(order, place < budget))
        lengths = tf.minimum(lengths, tf.cast(budget, lengths.dtype))
        return [tf.RaggedTensor.from_row_lengths(tf.gather(tokens.flat_values, kept), lengths, validate=False)]


def _sort_keys(tokens: tf.RaggedTensor, marker_ids: Sequence[int]) -> tf.Tensor:
    """(batch, tokens) -> (all tokens,) int64: row, then distance to the nearest entity; a row without: position."""
    ids, row, rows = tokens.flat_values, tokens.value_rowids(), tokens.nrows()
    position = tf.range(tf.size(ids, out_type=tf.int64)) - tf.gather(tokens.row_starts(), row)
    far = tf.constant(_FAR, tf.int64)
    place = [
        tf.gather(tf.minimum(far, tf.math.unsorted_segment_min(tf.where(ids == i, position, far), row, rows)), row)
        for i in marker_ids
    ]  # each (all tokens,): where the row's marker stands
    marker = tf.reduce_any(ids[:, tf.newaxis] == tf.constant(marker_ids, ids.dtype), axis=1)
    zero = tf.zeros_like(position)
    to_first, to_second = (
        tf.maximum(tf.maximum(start - position, position - end), zero) for start, end in (place[:2], place[2:])
    )
    distance = tf.minimum(tf.minimum(to_first, to_second), far)
    needed = marker | (position == place[0] + 1) | (position == place[2] + 1)
    whole = tf.reduce_all(tf.stack(place) < far, axis=0)  # a text without markers is cut at its end
    distance = tf.where(whole, tf.where(needed, tf.cast(_KEPT, tf.int64), distance), position)
    return row * (2 * _FAR) + distance


def relation_preprocessor(
    backbone: keras.Model,
    tokenizer: keras_hub.tokenizers.Tokenizer,
    max_length: int,
    markers: Sequence[str],
    marker_ids: Sequence[int],
) -> RelationPreprocessor:
    """Builds the preprocessor of a backbone whose tokenizer knows the markers; see `added_tokens.add_tokens`.

    Raises:
        UserError: as `text_preprocessor`.
    """
    plain = text_preprocessor(backbone, tokenizer, max_length, ("text",))
    return RelationPreprocessor(plain, markers, marker_ids)


def well_marked(token_ids: tf.Tensor, marker_ids: Sequence[int]) -> tf.Tensor:
    """(batch, length) -> (batch,) bool: each marker once, neither entity empty, one after the other."""
    length = tf.shape(token_ids)[1]
    found = [token_ids == i for i in marker_ids]  # 4 x (batch, length)
    once = [tf.reduce_sum(tf.cast(each, tf.int32), axis=1) == 1 for each in found]
    start, end, other_start, other_end = (tf.reduce_max(tf.where(each, tf.range(length), -1), axis=1) for each in found)
    apart = (end < other_start) | (other_end < start)
    return tf.reduce_all(tf.stack([*once, end - start > 1, other_end - other_start > 1, apart]), axis=0)
