"""What an encoder makes of texts when it is asked where its tokens come from."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Pieces(NamedTuple):
    """Token ids of a batch of texts, and the characters that each token was made from.

    Offsets count code points of the text as it was given to the encoder, before special tokens were marked, before
    it was lower-cased, stripped of accents or split. They are those of the Rust tokenizers (for byte-level BPE with
    `trim_offsets=False`: a token's leading space belongs to it). A character that became several tokens is in each
    of them; characters that became nothing, such as control characters and stripped accents, are in a token only
    where they lie inside it.

    Attributes:
        ids: (batch, tokens) int32.
        starts: (all tokens,) int32, first code point, row after row.
        ends: (all tokens,) int32, one past the last.
        opens_word: (all tokens,) bool, whether it is the first token of a word as the tokenizer splits words.
    """

    ids: tf.RaggedTensor
    starts: tf.Tensor
    ends: tf.Tensor
    opens_word: tf.Tensor


def pieces_from_bytes(
    ids: tf.RaggedTensor, opens_word: tf.Tensor, first: tf.Tensor, last: tf.Tensor, widths: tf.Tensor, spans: tf.Tensor
) -> Pieces:
    """Pieces whose place is known in bytes.

    Args:
        ids: (batch, tokens).
        opens_word: (all tokens,).
        first, last: (all tokens,) int64 first and last byte of each, counted through the whole batch.
        widths: (characters,) int64 bytes of each character of the batch.
        spans: (characters, 2) int32 where each character stood in its text.
    """
    ends = tf.cumsum(widths)
    # (all tokens,) -> (all tokens,) the character that holds the byte
    holds_first = tf.searchsorted(ends, first, side="right")
    holds_last = tf.searchsorted(ends, last, side="right")
    return Pieces(ids, tf.gather(spans[:, 0], holds_first), tf.gather(spans[:, 1], holds_last), opens_word)


def utf8_widths(codes: tf.Tensor) -> tf.Tensor:
    """(characters,) code points -> (characters,) int64 bytes of each in UTF-8."""
    wider = [tf.cast(codes >= limit, tf.int64) for limit in (0x80, 0x800, 0x10000)]
    return 1 + tf.add_n(wider)


def opening(tokens: tf.RaggedTensor) -> tf.Tensor:
    """(words, tokens) -> (all tokens,) bool, whether it is the first of its word."""
    count = tf.size(tokens.flat_values, out_type=tf.int64)
    index = tf.range(count) - tf.repeat(tokens.row_starts(), tokens.row_lengths())
    return index == 0
