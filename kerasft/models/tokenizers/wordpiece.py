"""BERT's tokenization in graph: characters are cleaned and split into words by a table, words cut into pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from kerasft.models.tokenizers import unicode_table
from kerasft.models.tokenizers.offsets import Pieces, opening, pieces_from_bytes, utf8_widths
from kerasft.models.tokenizers.special_tokens import SpecialTokens
from kerasft.models.tokenizers.traced import traced_once

if TYPE_CHECKING:
    import keras_hub

MAX_CHARACTERS = 100  # of a word; a longer one is unknown, as in BERT's WordpieceTokenizer
_BYTES_PER_CHARACTER = 4


class WordPieceEncoder(tf.Module):
    """Texts -> WordPiece ids, as the Rust tokenizers have them for the same vocabulary.

    Measured against `tokenizers` they agree on every character whose category has not changed since
    Unicode 3.2. They may differ where a character is younger than the Unicode data of either side: a nonspacing
    mark assigned since Unicode 8 is stripped here and kept there.

    Args:
        tokenizer: any KerasHub tokenizer on WordPiece. Its `lowercase`, `strip_accents`, `split_on_cjk`,
            `special_tokens` and vocabulary are what is read.

    Attributes:
        unknown_id: of the token that stands for a word which the vocabulary cannot spell.
    """

    def __init__(self, tokenizer: keras_hub.tokenizers.WordPieceTokenizer):
        super().__init__(name="wordpiece")
        vocabulary = tokenizer.get_vocabulary()
        self._unknown = tokenizer.oov_token
        self.unknown_id = vocabulary.index(self._unknown)
        added = tokenizer.get_config()["special_tokens"] or []
        words = set(vocabulary)
        self._special = SpecialTokens(
            [token for token in [*tokenizer.special_tokens, *added, self._unknown] if token in words]
        )
        self._pieces = tf_text.FastWordpieceTokenizer(
            vocab=vocabulary,
            suffix_indicator=tokenizer.suffix_indicator,
            max_bytes_per_word=MAX_CHARACTERS * _BYTES_PER_CHARACTER,
            token_out_type=tf.int32,
            unknown_token=self._unknown,
            no_pretokenization=True,
        )
        page_of, splits, values = unicode_table.bert_table(
            bool(tokenizer.lowercase), bool(tokenizer.strip_accents), bool(tokenizer.split_on_cjk)
        )
        splits, values = self._with_special_tokens(page_of, splits, values)
        self._page_of = tf.constant(page_of)
        self._splits = tf.constant(splits)
        self._values = tf.constant(values)
        self._ids_of = traced_once(lambda text: self._encode(text).ids)
        self._pieces_of = traced_once(self._encode)

    def _with_special_tokens(
        self, page_of: np.ndarray, splits: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Appends, for each stand-in, a row with the token's own characters as one word."""
        rows = [
            unicode_table.pack(code, token, before=True, after=True)
            for code, token in zip(self._special.standins, self._special.tokens)
        ]
        self._first_special_row = len(splits) - 1
        ends = len(values) + np.cumsum([len(row) for row in rows], dtype=np.int32)
        flat = np.array([value for row in rows for value in row], np.int32)
        return np.concatenate([splits, ends]).astype(np.int32), np.concatenate([values, flat])

    def __call__(self, text: tf.Tensor) -> tf.RaggedTensor:
        """(batch,) valid UTF-8 -> (batch, tokens) int32 ids."""
        return self._ids_of(text)

    def pieces(self, text: tf.Tensor) -> Pieces:
        """(batch,) valid UTF-8 -> ids and where in the text they come from."""
        return self._pieces_of(text)

    def _encode(self, text: tf.Tensor) -> Pieces:
        codes = tf.strings.unicode_decode(self._special.mark(text), "UTF-8")  # (batch, characters)
        words, words_per_text, source = self._split(codes)
        strings = tf.strings.unicode_encode(words, "UTF-8")  # (words,)
        long = words.row_lengths() > MAX_CHARACTERS
        pieces, first, end = self._pieces.tokenize_with_offsets(tf.where(long, self._unknown, strings))
        word_of = pieces.value_rowids()  # (all pieces,)
        widths = utf8_widths(words.flat_values)
        ends_of_words = tf.gather(tf.concat([tf.zeros([1], tf.int64), tf.cumsum(widths)], 0), words.row_splits)
        word_start, word_end = (tf.gather(bounds, word_of) for bounds in (ends_of_words[:-1], ends_of_words[1:]))
        whole = tf.gather(long, word_of)
        spans = tf.gather(self._special.spans(text, codes), source)
        ends = tf.concat([[0], tf.cumsum(words_per_text)], 0)
        # (words, pieces) -> (batch, pieces)
        splits = tf.gather(pieces.row_splits, ends)
        return pieces_from_bytes(
            tf.RaggedTensor.from_row_splits(pieces.flat_values, splits, validate=False),
            opening(pieces),
            first=word_start + tf.where(whole, tf.zeros_like(word_start), first.flat_values),
            last=tf.where(whole, word_end, word_start + end.flat_values) - 1,
            widths=widths,
            spans=spans,
        )

    def _table_rows(self, codes: tf.Tensor) -> tf.Tensor:
        """(characters,) code points -> (characters,) rows of the table."""
        rows = tf.gather(self._page_of, codes // unicode_table.PAGE) * unicode_table.PAGE + codes % unicode_table.PAGE
        for offset, code in enumerate(self._special.standins):
            rows = tf.where(codes == code, self._first_special_row + offset, rows)
        return rows

    def _split(self, codes: tf.RaggedTensor) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor]:
        """Cuts texts into normalised words.

        Returns:
            (words, characters); (batch,) words of each text; (characters of the words,) the characters of `codes`
            that they come from, counted through the batch.
        """
        table = tf.RaggedTensor.from_row_splits(self._values, self._splits, validate=False)
        outputs = tf.gather(table, self._table_rows(codes.flat_values))  # (characters, 0 or more)
        packed = outputs.flat_values
        counts = outputs.row_lengths()
        chars = tf.repeat(codes.flat_values, counts) + (packed & unicode_table.OFFSET_MASK) - unicode_table.BIAS
        flags = tf.bitwise.right_shift(packed, unicode_table.FLAG_SHIFT)
        text_of = tf.repeat(codes.value_rowids(), counts)
        closed = (flags & (unicode_table.AFTER | unicode_table.GAP)) != 0
        starts = tf.concat([[True], closed[:-1] | (text_of[1:] != text_of[:-1])], 0)[: tf.size(flags)]
        starts |= (flags & unicode_table.BEFORE) != 0
        part_of_word = (flags & unicode_table.GAP) == 0
        first = tf.where(tf.boolean_mask(starts, part_of_word))[:, 0]
        words = tf.RaggedTensor.from_row_starts(tf.boolean_mask(chars, part_of_word), first, validate=False)
        text_of_word = tf.gather(tf.boolean_mask(text_of, part_of_word), first)
        source = tf.boolean_mask(tf.repeat(tf.range(tf.size(counts)), counts), part_of_word)
        return words, tf.math.unsorted_segment_sum(tf.ones_like(first), text_of_word, codes.nrows()), source
