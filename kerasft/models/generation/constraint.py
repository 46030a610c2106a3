"""Answers that are held to a language, in graph: at each step the tokens that it allows.

Willard and Louf 2023, arXiv:2307.09702, with one thing more: a token is only taken if an answer that goes on with it
can end within the tokens that are left. So every answer is whole.
"""

from __future__ import annotations

import tensorflow as tf

from kerasft.models.constraints.held_tokens import HeldTokens
from kerasft.models.tokenizers.detokenizer import Detokenizer


class Constraint:
    """What an answer may be.

    Args:
        held: of the language and the vocabulary, as arrays or tensors.
        detokenizer: of the vocabulary; its special tokens end an answer.
    """

    def __init__(self, held: HeldTokens, detokenizer: Detokenizer):
        self._held, self._detokenizer = held, detokenizer

    def start(self, prompt_ids: tf.Tensor) -> tf.Tensor:
        """(batch, tokens) ids, or NO_TOKEN, that an answer follows -> (batch,) int32 states."""
        return tf.gather(self._held.starts, tf.cast(self._detokenizer.opens(prompt_ids), tf.int32))

    def impossible(self, states: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        """(batch,) bool, whether no answer ends within (batch,) tokens."""
        return tf.gather(self._held.distances, states) > left

    def allowed(self, scores: tf.Tensor, states: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        """(batch, vocabulary) scores, the least there are where a token may not follow.

        Args:
            states: (batch,).
            left: (batch,) int32 tokens, the next one among them.
        """
        following = tf.cast(tf.gather(self._held.jumps, states), tf.int32)  # (batch, columns)
        near = tf.gather(self._held.distances, following) < left[:, tf.newaxis]
        taken = tf.gather(near, self._held.columns, axis=1)  # (batch, vocabulary)
        may_end = tf.gather(self._held.distances, states) == 0  # (batch,)
        taken |= may_end[:, tf.newaxis] & self._detokenizer.special
        return tf.where(taken, scores, scores.dtype.min)

    def step(self, states: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """(batch,) states and tokens, or NO_TOKEN, which changes nothing -> states behind them."""
        columns = tf.gather(self._held.columns, tf.maximum(tokens, 0))
        following = tf.gather_nd(self._held.jumps, tf.stack([states, columns], axis=-1))
        return tf.where(tokens >= 0, tf.cast(following, tf.int32), states)

    def complete(self, states: tf.Tensor) -> tf.Tensor:
        """(...) bool, whether an answer is whole and nothing may follow."""
        return tf.gather(self._held.complete, states)
