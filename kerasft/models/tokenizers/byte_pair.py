"""Byte-level byte-pair encoding in graph, with integers and without a cache that grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from kerasft.models.tokenizers import unicode_table
from kerasft.models.tokenizers.merges import Merges, shift
from kerasft.models.tokenizers.offsets import Pieces, opening, pieces_from_bytes, utf8_widths
from kerasft.models.tokenizers.special_tokens import SpecialTokens
from kerasft.models.tokenizers.traced import traced_once

if TYPE_CHECKING:
    import keras_hub


def byte_characters() -> list[str]:
    """The character that stands for each byte in a byte-level vocabulary (Radford et al. 2019, GPT-2)."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in own else next(others)) for byte in range(256)]


_BYTE_OF = {character: byte for byte, character in enumerate(byte_characters())}


def token_bytes(token: str) -> bytes | None:
    """What a token of a byte-level vocabulary stands for; None: it is not made of bytes."""
    if not all(character in _BYTE_OF for character in token):
        return None
    return bytes(_BYTE_OF[character] for character in token)


class BytePairEncoder(tf.Module):
    r"""Texts -> byte-pair ids, as the Rust tokenizers have them for GPT-2's, RoBERTa's and BART's vocabularies.

    Words are split by GPT-2's pattern (Radford et al. 2019)
    `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. KerasHub's own tokenizer splits
    by an approximation of it in graph and by Llama 3's pattern outside; it also keeps every word it has met in a
    table, which grows without bound in a server. Here nothing is kept: the distinct words of the batch are merged
    together (Sennrich et al. 2016, arXiv:1508.07909).

    A word of any length costs what its bytes cost (see `merges`): words up to 1,024 bytes are always merged as one,
    longer ones too unless a change at one place would reach further than that.

    It differs from `tokenizers` on letters and digits assigned in Unicode versions newer than this Python's, on
    noncharacters such as U+FDD0, and on vocabularies made for another pattern (Llama 3, Qwen: digits). A tokenizer
    whose `split_digits` is true (`kerasft.models.tokenizers.byte_level_tokenizer`) has each digit cut off before:
    `\p{N}` one by one, as SmolLM and StarCoder have it.

    Args:
        tokenizer: a KerasHub byte-pair tokenizer. Its `vocabulary`, `merges`, `unsplittable_tokens`,
            `add_prefix_space` and, where it has one, `split_digits` are what is read.

    Attributes:
        unknown_id: None; bytes spell everything.

    Raises:
        UserError: a merge needs a token that the vocabulary lacks.
    """

    unknown_id = None

    def __init__(self, tokenizer: keras_hub.tokenizers.BytePairTokenizer):
        super().__init__(name="byte_pair")
        vocabulary = dict(tokenizer.vocabulary)
        tokens = [token for token in tokenizer.unsplittable_tokens or [] if token in vocabulary]
        # RoBERTa's and BART's tokenizers declare that their mask takes the space before it along; one that was read
        # from tokenizer.json has its own list.
        strip_left = getattr(tokenizer, "strip_left", None)
        self._special = SpecialTokens(tokens, strip_left=frozenset(["<mask>"] if strip_left is None else strip_left))
        self._special_ids = tf.constant([vocabulary[token] for token in self._special.tokens], tf.int64)
        self._prefix_space = bool(tokenizer.add_prefix_space)
        self._split_digits = bool(getattr(tokenizer, "split_digits", False))  # KerasHub's own have none
        self._merges = Merges(vocabulary, list(tokenizer.merges))
        # A byte that the vocabulary lacks is left out, as `tokenizers` does without an unknown token.
        byte_ids = [vocabulary.get(char, -1) for char in byte_characters()]
        self._byte_ids = tf.constant(byte_ids, tf.int64)
        self._knows_every_byte = min(byte_ids) >= 0
        page_of, classes = unicode_table.class_table()
        self._page_of = tf.constant(page_of)
        self._classes = tf.constant(classes)
        self._ids_of = traced_once(lambda text: self._encode(text).ids)
        self._pieces_of = traced_once(self._encode)

    def __call__(self, text: tf.Tensor) -> tf.RaggedTensor:
        """(batch,) valid UTF-8 -> (batch, tokens) int32 ids."""
        return self._ids_of(text)

    def pieces(self, text: tf.Tensor) -> Pieces:
        """(batch,) valid UTF-8 -> ids and where they come from; an added space is where the next character is."""
        return self._pieces_of(text)

    def _encode(self, text: tf.Tensor) -> Pieces:
        codes, spans = self._characters(text)
        classes = self._class_of(codes.flat_values)
        text_of = tf.cast(codes.value_rowids(), tf.int32)
        first = tf.where(_word_starts(codes.flat_values, classes, text_of, self._split_digits))[:, 0]
        words = tf.RaggedTensor.from_row_starts(codes.flat_values, first, validate=False)  # (words, characters)
        distinct, index = tf.unique(tf.strings.unicode_encode(words, "UTF-8"))
        merged = self._merge(distinct)  # (distinct, tokens)
        # Special tokens follow the distinct words, one row each.
        rows = _followed_by(merged, self._special_ids)
        special = tf.gather(classes, first) - unicode_table.SPECIAL
        index = tf.where(special >= 0, special + tf.size(distinct), index)
        tokens = tf.gather(rows, index)  # (words, tokens)
        words_of = tf.math.unsorted_segment_sum(tf.ones_like(first), tf.gather(text_of, first), codes.nrows())
        ends = tf.concat([[0], tf.cumsum(words_of)], 0)
        # (words, tokens) -> (batch, tokens)
        splits = tf.gather(tokens.row_splits, ends)
        ids = tf.RaggedTensor.from_row_splits(tf.cast(tokens.flat_values, tf.int32), splits, validate=False)
        # A special token is one stand-in, and counts as one byte in either reckoning.
        sizes = self._merges.sizes(tokens.flat_values)
        sizes = tf.where(tf.gather(special, tokens.value_rowids()) >= 0, tf.ones_like(sizes), sizes)
        widths = tf.where(classes >= unicode_table.SPECIAL, tf.ones([], tf.int64), self._widths(codes.flat_values))
        after = tf.cumsum(sizes)
        return pieces_from_bytes(ids, opening(tokens), after - sizes, after - 1, widths, spans)

    def _characters(self, text: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """(batch,) -> (batch, characters) with stand-ins and added spaces, (characters, 2) where each stands."""
        codes = tf.strings.unicode_decode(self._special.mark(text), "UTF-8")
        spans = self._special.spans(text, codes)
        if not self._prefix_space:
            return codes, spans
        # Every piece between special tokens that does not start with a space gets one.
        flat = codes.flat_values
        special = tf.reduce_any(flat[:, tf.newaxis] == tf.constant(self._special.standins, tf.int32), axis=1)
        first = tf.range(tf.size(flat, out_type=tf.int64)) == tf.repeat(codes.row_starts(), codes.row_lengths())
        added = (first | shift(special, -1, False)) & (flat != ord(" ")) & ~special
        source = tf.repeat(tf.range(tf.size(flat)), 1 + tf.cast(added, tf.int32))
        is_space = source == shift(source, 1, -1)
        ends = tf.cumsum(tf.concat([[0], 1 + tf.cast(added, tf.int64)], 0))
        splits = tf.gather(ends, codes.row_splits)
        flat = tf.where(is_space, ord(" "), tf.gather(flat, source))
        return tf.RaggedTensor.from_row_splits(flat, splits, validate=False), tf.gather(spans, source)

    def _widths(self, codes: tf.Tensor) -> tf.Tensor:
        """(characters,) -> (characters,) int64 bytes of each that the vocabulary has."""
        if self._knows_every_byte:
            return utf8_widths(codes)
        text = tf.strings.bytes_split(tf.strings.unicode_encode(codes[:, tf.newaxis], "UTF-8"))
        bytes_ = tf.cast(tf.reshape(tf.io.decode_raw(text.flat_values, tf.uint8), [-1]), tf.int32)
        in_vocabulary = tf.cast(tf.gather(self._byte_ids, bytes_) >= 0, tf.int64)
        return tf.math.unsorted_segment_sum(in_vocabulary, text.value_rowids(), tf.size(codes, out_type=tf.int64))

    def _class_of(self, codes: tf.Tensor) -> tf.Tensor:
        """(characters,) -> (characters,) class; the i-th special token's stand-in has SPECIAL + i."""
        rows = tf.gather(self._page_of, codes // unicode_table.PAGE) * unicode_table.PAGE + codes % unicode_table.PAGE
        classes = tf.gather(self._classes, rows)
        for offset, code in enumerate(self._special.standins):
            classes = tf.where(codes == code, unicode_table.SPECIAL + offset, classes)
        return classes

    def _merge(self, words: tf.Tensor) -> tf.RaggedTensor:
        """(words,) UTF-8 -> (words, tokens) int64 ids."""
        text = tf.strings.bytes_split(words)
        bytes_ = tf.cast(tf.reshape(tf.io.decode_raw(text.flat_values, tf.uint8), [-1]), tf.int32)
        ids = tf.gather(self._byte_ids, bytes_)
        in_vocabulary = ids >= 0
        ids = tf.boolean_mask(ids, in_vocabulary)
        word_of = tf.boolean_mask(text.value_rowids(), in_vocabulary)
        count = tf.size(words, out_type=tf.int64)
        merged, merged_of = self._merges(ids, word_of, count)
        return tf.RaggedTensor.from_value_rowids(merged, merged_of, nrows=count, validate=False)


def _followed_by(rows: tf.RaggedTensor, values: tf.Tensor) -> tf.RaggedTensor:
    """(rows, values) and (more,) -> (rows + more, values), one value a row.

    `tf.concat` of ragged tensors builds a graph that is ten times as large.
    """
    more = rows.row_splits[-1] + tf.range(1, tf.size(values, out_type=tf.int64) + 1)
    flat = tf.concat([rows.flat_values, values], 0)
    return tf.RaggedTensor.from_row_splits(flat, tf.concat([rows.row_splits, more], 0), validate=False)


def _word_starts(codes: tf.Tensor, classes: tf.Tensor, text_of: tf.Tensor, split_digits: bool) -> tf.Tensor:
    """(characters,) code points, classes and texts -> (characters,) whether a word of GPT-2's pattern starts."""
    special = classes >= unicode_table.SPECIAL
    if split_digits:  # a digit is apart from all around it, as a special token is
        special |= classes == unicode_table.NUMBER
    piece_starts = special | shift(special, -1, False) | (text_of != shift(text_of, -1, -1))
    piece = tf.cumsum(tf.cast(piece_starts, tf.int32))  # texts cut at special tokens, and at digits

    def following(values: tf.Tensor, by: int) -> tf.Tensor:
        return tf.where(shift(piece, by, -1) == piece, shift(values, by, -1), -1)

    space = classes == unicode_table.SPACE
    # `\s+(?!\S)`: the last space before a word is not part of the run of spaces before it, and ` ?` joins it.
    last_space = space & (following(classes, 1) >= 0) & (following(classes, 1) != unicode_table.SPACE)
    joined = shift(last_space & (codes == ord(" ")), -1, False)
    starts = (piece_starts | (classes != shift(classes, -1, -1)) | last_space) & ~joined

    after, second = following(codes, 1), following(codes, 2)

    def one_of(values: tf.Tensor, letters: str) -> tf.Tensor:
        return tf.reduce_any(values[:, tf.newaxis] == tf.constant([ord(c) for c in letters]), axis=1)

    quote = starts & (codes == ord("'"))
    short = quote & one_of(after, "stmd")
    long = quote & ((one_of(after, "rv") & (second == ord("e"))) | ((after == ord("l")) & (second == ord("l"))))
    starts &= ~shift(short | long, -1, False)
    ends = shift(short, -2, False) | shift(long, -3, False)
    return starts | ends
