"""Texts with two marked entities -> what a backbone reads, in graph; long texts are cut around the entities."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from kerasft.models.preprocessing.preprocessor import TextPreprocessor, text_preprocessor
from kerasft.models.preprocessing.token_offsets import NOWHERE, TokenOffsets
from kerasft.models.tokenizers.encoder import clean
from kerasft.models.tokenizers.offsets import Pieces

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

    takes_prompt = False

    def __init__(self, plain: TextPreprocessor, markers: Sequence[str], marker_ids: Sequence[int]):
        super().__init__(plain.encoder, plain.layout, plain.pad_values, plain.max_length, plain.inputs)
        self.marker_ids = tuple(marker_ids)
        spelling = "|".join(re.escape(marker) for marker in markers)
        self._spaced = rf"\s+({spelling})\s*"
        self._spaces = re.compile(rf"[\t\n\f\r ]+({spelling})[\t\n\f\r ]*")  # the same in Python's terms

    def _made_of(self) -> tuple[Hashable, ...]:
        return *super()._made_of(), self.marker_ids, self._spaced

    def token_offsets(self, columns: Mapping[str, tf.Tensor]) -> TokenOffsets:
        """As `TextPreprocessor.token_offsets`, eagerly alone; markers have the offsets of their spelling.

        A token of a space that the text did not have comes from nowhere.
        """
        whole_offsets, text = super().token_offsets(columns), clean(tf.convert_to_tensor(columns["text"], tf.string))
        spans = whole_offsets.offsets.flat_values.numpy()  # (all tokens, 2), in texts with other spaces around markers
        rows = whole_offsets.offsets.value_rowids().numpy()
        for row, whole in enumerate(text.numpy()):
            mine = (rows == row) & (spans[:, 0] != NOWHERE)
            starts, ends = self._origins(whole.decode("utf-8"))
            spans[mine] = np.stack([starts[spans[mine, 0]], ends[spans[mine, 1] - 1]], axis=1)
        spans[spans[:, 0] == spans[:, 1]] = NOWHERE
        column = whole_offsets.column.with_flat_values(np.minimum(spans[:, 0], 0))  # there is one
        return whole_offsets._replace(
            offsets=whole_offsets.offsets.with_flat_values(spans), column=column, texts=(text,)
        )

    def _origins(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Where each character of a text as `_texts` has it begins and ends in the text as it was given."""
        spans: list[tuple[int, int]] = []
        end = 0
        for match in self._spaces.finditer(text):
            marker = match.end(1)
            spans += [(i, i + 1) for i in [*range(end, match.start()), *range(match.start(1), marker)]]
            spans.append((marker, match.end()))  # the space behind it, or none
            end = match.end()
        spans += [(i, i + 1) for i in range(end, len(text))]
        starts, ends = np.array(spans, np.int32).reshape(-1, 2).T
        return starts, ends

    def _texts(self, columns: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        # The space before a word belongs to the word: byte-level BPE would otherwise give the entity's first word
        # the id of a word's middle, and the space an id of its own. WordPiece does not see the difference.
        return [tf.strings.regex_replace(clean(columns["text"]), self._spaced, r"\1 ")]

    def _fit(self, segments: list[tf.RaggedTensor], budget: int) -> list[tf.RaggedTensor]:
        (tokens,) = segments
        nearest = self._nearest(tokens, budget)
        return [nearest.with_flat_values(tf.gather(tokens.flat_values, nearest.flat_values))]

    def _fitting_tokens(self, pieces: list[Pieces], budget: int) -> list[tf.RaggedTensor]:
        return [self._nearest(each.ids, budget) for each in pieces]

    def _nearest(self, tokens: tf.RaggedTensor, budget: int) -> tf.RaggedTensor:
        """(batch, tokens) -> (batch, at most `budget`) places of the tokens that are kept, among all of them."""
        order = tf.argsort(_sort_keys(tokens, self.marker_ids), stable=True)  # row after row, the dearest first
        lengths = tokens.row_lengths()
        rank = tf.range(tf.size(order, out_type=tf.int64)) - tf.repeat(tokens.row_starts(), lengths)
        nearest = tf.sort(tf.boolean_mask(order, rank < budget))
        lengths = tf.minimum(lengths, tf.cast(budget, lengths.dtype))
        return tf.RaggedTensor.from_row_lengths(nearest, lengths, validate=False)


def _sort_keys(tokens: tf.RaggedTensor, marker_ids: Sequence[int]) -> tf.Tensor:
    """(batch, tokens) -> (all tokens,) int64: row, then distance to the nearest entity; a row without: position."""
    ids, row, rows = tokens.flat_values, tokens.value_rowids(), tokens.nrows()
    position = tf.range(tf.size(ids, out_type=tf.int64)) - tf.gather(tokens.row_starts(), row)
    far = tf.constant(_FAR, tf.int64)
    marker_positions = [
        tf.gather(tf.minimum(far, tf.math.unsorted_segment_min(tf.where(ids == i, position, far), row, rows)), row)
        for i in marker_ids
    ]  # each (all tokens,): where the row's marker stands
    marker = tf.reduce_any(ids[:, tf.newaxis] == tf.constant(marker_ids, ids.dtype), axis=1)
    zero = tf.zeros_like(position)
    to_first, to_second = (
        tf.maximum(tf.maximum(start - position, position - end), zero)
        for start, end in (marker_positions[:2], marker_positions[2:])
    )
    distance = tf.minimum(tf.minimum(to_first, to_second), far)
    needed = marker | (position == marker_positions[0] + 1) | (position == marker_positions[2] + 1)
    whole = tf.reduce_all(tf.stack(marker_positions) < far, axis=0)  # a text without markers is cut at its end
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
    matches = [token_ids == i for i in marker_ids]  # 4 x (batch, length)
    once = [tf.reduce_sum(tf.cast(each, tf.int32), axis=1) == 1 for each in matches]
    start, end, other_start, other_end = (
        tf.reduce_max(tf.where(each, tf.range(length), -1), axis=1) for each in matches
    )
    apart = (end < other_start) | (other_end < start)
    return tf.reduce_all(tf.stack([*once, end - start > 1, other_end - other_start > 1, apart]), axis=0)
