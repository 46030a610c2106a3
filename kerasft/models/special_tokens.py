"""Special tokens written in a text, such as "[SEP]": each becomes one character that no text may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable

import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.unicode_table import SPACES

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
        self.standin_class = _code_points(self.standins)  # what stands in the brackets of a regular expression
        spaces = f"[{_code_points(SPACES)}]*"  # `\s` of RE2 has only the ASCII ones
        self._patterns = [(spaces if token in strip_left else "") + re.escape(token) for token in self.tokens]

    def mark(self, text: tf.Tensor) -> tf.Tensor:
        """(batch,) valid UTF-8 -> (batch,) with stand-ins."""
        if not self.tokens:
            return text
        text = tf.strings.regex_replace(text, f"[{self.standin_class}]", _NOT_A_STANDIN)
        for pattern, code in zip(self._patterns, self.standins):
            text = tf.strings.regex_replace(text, pattern, chr(code))
        return text


def _code_points(codes: Iterable[int]) -> str:
    return "".join(rf"\x{{{code:X}}}" for code in sorted(codes))
