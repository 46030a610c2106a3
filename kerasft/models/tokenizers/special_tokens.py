"""Special tokens written in a text, such as "[SEP]": each becomes one character that no text may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.tokenizers.unicode_table import SPACES

# Unicode keeps these noncharacters for a program's own use (Unicode standard, section 23.7).
STANDINS = tuple([*range(0xFDD0, 0xFDF0), *(plane << 16 | low for plane in range(1, 17) for low in (0xFFFE, 0xFFFF))])
_NOT_A_STANDIN = "\uffff"


class SpecialTokens:
    """Replaces each of some tokens by its stand-in, a noncharacter, in a batch of texts.

    As in the Rust tokenizers, tokens are found in the text as it is written, before it is lower-cased; the
    longest goes first. A text's own stand-in characters become U+FFFF beforehand, so that none passes for a token.

    Args:
        tokens: the tokens, in any order.
        strip_left: those of them that take the white space before them along, as `<mask>` of RoBERTa does.

    Raises:
        UserError: there are more than 64 tokens.
    """

    def __init__(self, tokens: list[str], strip_left: frozenset[str] = frozenset()):
        self.tokens = sorted(set(tokens), key=lambda token: (-len(token), token))
        if len(self.tokens) > len(STANDINS):
            raise UserError(
                f"model.preset: the tokenizer has {len(self.tokens)} added tokens and kerasft finds at most "
                f"{len(STANDINS)} in texts; remove unused ones from tokenizer.json"
            )
        self.standins = STANDINS[: len(self.tokens)]
        spaces = f"[{_code_points(SPACES)}]*"  # `\s` of RE2 has only the ASCII ones
        self._greedy = [code for token, code in zip(self.tokens, self.standins) if token in strip_left]
        self._plain = [re.escape(token) for token in self.tokens]
        self._patterns = [(spaces if token in strip_left else "") + re.escape(token) for token in self.tokens]

    def mark(self, text: tf.Tensor) -> tf.Tensor:
        """(batch,) valid UTF-8 -> (batch,) with stand-ins."""
        return self._replace(text, self._patterns)

    def spans(self, text: tf.Tensor, codes: tf.RaggedTensor) -> tf.Tensor:
        """Where each character of the marked text stands in the text itself.

        Args:
            text: (batch,) valid UTF-8.
            codes: (batch, characters) code points of `mark(text)`.

        Returns:
            (all characters, 2) int32 start and end in code points. White space that a stand-in took along belongs to
            it, so that each character starts where the one before it ends.
        """
        ends = self._plain_ends(codes)
        if self._greedy:
            # How much white space was taken along is known from the text in which it stayed.
            stayed = tf.strings.unicode_decode(self._replace(text, self._plain), "UTF-8")
            greedy = self._is_greedy(codes.flat_values)
            plain_ends = tf.boolean_mask(self._plain_ends(stayed), self._is_greedy(stayed.flat_values))
            spaces = plain_ends - tf.boolean_mask(ends, greedy)  # (greedy stand-ins,) up to here, in its text
            before = tf.cumsum(tf.cast(greedy, tf.int32))  # (characters,) greedy stand-ins so far, in the batch
            before_text = _of_rows(codes, tf.concat([[0], before], 0))
            padded = tf.concat([[0], spaces], 0)
            ends += tf.where(before > before_text, tf.gather(padded, before), 0)
        count = tf.size(ends, out_type=tf.int64)
        opens = tf.range(count) == tf.repeat(codes.row_starts(), codes.row_lengths())
        starts = tf.where(opens, 0, tf.concat([[0], ends], 0)[:-1])
        return tf.stack([starts, ends], axis=1)

    def _replace(self, text: tf.Tensor, patterns: list[str]) -> tf.Tensor:
        if not self.tokens:
            return text
        text = tf.strings.regex_replace(text, f"[{_code_points(self.standins)}]", _NOT_A_STANDIN)
        for pattern, code in zip(patterns, self.standins):
            text = tf.strings.regex_replace(text, pattern, chr(code))
        return text

    def _is_greedy(self, codes: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(codes[:, tf.newaxis] == tf.constant(self._greedy), axis=1)

    def _plain_ends(self, codes: tf.RaggedTensor) -> tf.Tensor:
        """(characters,) int32 ends in each text, where a stand-in is as long as its token."""
        lengths = tf.ones_like(codes.flat_values)
        for token, code in zip(self.tokens, self.standins):
            lengths = tf.where(codes.flat_values == code, len(token), lengths)
        ends = tf.cumsum(lengths)
        return ends - _of_rows(codes, tf.concat([[0], ends], 0))


def _of_rows(codes: tf.RaggedTensor, values: tf.Tensor) -> tf.Tensor:
    """(characters + 1,) -> (characters,) the value at the start of each character's row."""
    return tf.repeat(tf.gather(values, codes.row_starts()), codes.row_lengths())


def _code_points(codes: Iterable[int]) -> str:
    return "".join(rf"\x{{{code:X}}}" for code in sorted(codes))
