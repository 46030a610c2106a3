"""What holds for all answers, however their tokens are chosen: what is a token, what is less likely, what is an end."""

from __future__ import annotations

import re

import tensorflow as tf

from kerasft.config.text_generation import DecodingConfig
from kerasft.models.generation.sampling import penalised
from kerasft.models.tokenizers.detokenizer import Detokenizer


class StoppingCriteria:
    """Rules of a config for a tokenizer.

    Args:
        detokenizer: of the model's tokenizer.
        decoding: its `stop` and `repetition_penalty`.

    Attributes:
        special: (vocabulary,) bool, tokens that an answer ends before.
        stops: whether a text may end an answer.
    """

    def __init__(self, detokenizer: Detokenizer, decoding: DecodingConfig):
        self._detokenizer, self._penalty = detokenizer, decoding.repetition_penalty
        self.special, self.stops = detokenizer.special, bool(decoding.stop)
        # The bytes of a stop text lie in at most as many tokens.
        self._longest_stop = max((len(text.encode("utf-8")) for text in decoding.stop), default=0)
        self._stop = "|".join(map(re.escape, decoding.stop))

    def within_vocabulary(self, logits: tf.Tensor) -> tf.Tensor:
        """(batch, vocabulary) without those beyond the tokens: a table may be longer than the vocabulary."""
        in_vocabulary = self._detokenizer.ordinary | self.special
        return logits if in_vocabulary.all() else tf.where(tf.constant(in_vocabulary), logits, logits.dtype.min)

    def penalised(self, scores: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """(batch, vocabulary) logits or log-probabilities, less of what is there already."""
        return scores if self._penalty == 1.0 else penalised(scores, present, self._penalty)

    def seen_tokens(self, present: tf.Tensor | None, ids: tf.Tensor) -> tf.Tensor:
        """(batch, vocabulary) bool, which tokens a row has, with (batch, tokens) more; nothing where none asks."""
        if self._penalty == 1.0:
            return tf.zeros([tf.shape(ids)[0], 0], tf.bool)
        width = len(self._detokenizer.token_bytes)
        rows = tf.broadcast_to(tf.range(tf.shape(ids)[0])[:, tf.newaxis], tf.shape(ids))
        # Places without a token are counted beside the vocabulary.
        at = tf.stack([rows, tf.where(ids >= 0, ids, width)], axis=2)
        added = tf.scatter_nd(at, tf.ones_like(ids), [tf.shape(ids)[0], width + 1])[:, :width] > 0
        return added if present is None else present | added

    def recent(self, count: tf.Tensor) -> tf.Tensor:
        """Of how many tokens -> the first that may belong to a stop text which has just been completed."""
        return tf.maximum(count - self._longest_stop, 0)

    def stopped(self, newest: tf.Tensor) -> tf.Tensor:
        """(batch, tokens) from `recent` on -> (batch,) bool, whether they have a stop text."""
        if not self.stops:
            return tf.zeros([tf.shape(newest)[0]], tf.bool)
        return tf.strings.regex_full_match(self._detokenizer(newest), f"(?s).*(?:{self._stop}).*")

    def text(self, generated: tf.Tensor, prompt_ids: tf.Tensor) -> tf.Tensor:
        """(batch, tokens) ids or NO_TOKEN, and those that they follow -> (batch,) valid UTF-8, up to a stop text."""
        text = self._detokenizer(generated)
        if self.stops:
            text = tf.strings.regex_replace(text, f"(?s)(?:{self._stop}).*", "")
        return self._detokenizer.opened(text, prompt_ids)
