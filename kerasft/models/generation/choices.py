"""Answers that are the letter of one of the options in a prompt: multiple choice, in graph."""

from __future__ import annotations

import string

import numpy as np
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.tokenizers.detokenizer import Detokenizer

LETTERS = string.ascii_uppercase[:26]
_OPTION = r"(?s)(?:.*\n)?[ \t]*\(?{letter}[{signs}][ \t].*"  # "A. text", "A) text", "(A) text", "A: text"
_ANSWERED = -1  # the state behind a letter


class Choices:
    """What a `Constraint` is, with a language that each prompt has of its own: the letters of its options.

    A state is the set of letters, a bit each; a prompt without options has an empty answer.

    Args:
        detokenizer: of the model's tokenizer.

    Raises:
        UserError: the vocabulary has no token for a letter by itself.
    """

    def __init__(self, detokenizer: Detokenizer):
        self._detokenizer = detokenizer
        known = {
            spelling: token for token, spelling in enumerate(detokenizer.token_bytes) if detokenizer.ordinary[token]
        }
        if missing := [letter for letter in LETTERS if letter.encode() not in known]:
            raise UserError(
                f"task.decoding.constraint.choices: the tokens of this model have no {missing[0]} by itself; use labels"
            )
        self._bits = np.zeros(len(detokenizer.token_bytes), np.int32)  # of each token
        for place, letter in enumerate(LETTERS):
            self._bits[known[letter.encode()]] = 1 << place

    def start(self, prompt_ids: tf.Tensor) -> tf.Tensor:
        """(batch, tokens) ids, or NO_TOKEN -> (batch,) int32 letters that begin a line as an option does."""
        text = self._detokenizer(prompt_ids)
        states = tf.zeros_like(prompt_ids[:, 0])
        for place, letter in enumerate(LETTERS):
            signs = ".)" if letter == "Q" else ".):"  # "Q: ..." is how questions begin
            found = tf.strings.regex_full_match(text, _OPTION.format(letter=letter, signs=signs))
            states += tf.cast(found, tf.int32) * (1 << place)
        return states

    def impossible(self, states: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        """(batch,) bool, whether there is no option, or no room for a letter."""
        return (states == 0) | (left < 1)

    def allowed(self, scores: tf.Tensor, states: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        """See `Constraint.allowed`."""
        taken = tf.bitwise.bitwise_and(states[:, tf.newaxis], self._bits) > 0
        return tf.where(taken & (states >= 0)[:, tf.newaxis], scores, scores.dtype.min)

    def step(self, states: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """An answer is whole behind its letter."""
        return tf.where(tokens >= 0, _ANSWERED, states)

    def complete(self, states: tf.Tensor) -> tf.Tensor:
        """(...) bool, whether there is a letter."""
        return states < 0
