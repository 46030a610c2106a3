"""How likely a language model takes sentences for: by hiding each token, or by reading from left to right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from scipy.special import log_softmax

from kerasft.evaluation.bias.pairs import Pair, shared_tokens
from kerasft.runs import Trained

AT_ONCE = 32  # rows of a call of the model

Scores = list[tuple[float, float, "float | None"]]


class MaskedLikelihood:
    """Pseudo-log-likelihood (Salazar et al. 2020, arXiv:1910.14659) of the tokens that two sentences share.

    Args:
        trained: of task masked_lm.
    """

    def __init__(self, trained: Trained):
        self._trained, self._preprocessor = trained, trained.preprocessor
        self._read = tf.function(self._preprocessor, autograph=False)

    def scores(self, pairs: Sequence[Pair]) -> Scores:
        """Of each pair: its stereotype, the other and the unrelated sentence.

        The unrelated one is held against the stereotype by the tokens that both share, and moved to its scale.
        """
        found: Scores = []
        for pair in pairs:
            one, other = self._tokens(pair.stereotype), self._tokens(pair.other)
            first, second = shared_tokens(one, other)
            scores = self._likelihood(one, first), self._likelihood(other, second)
            unrelated = None
            if pair.unrelated is not None:
                third = self._tokens(pair.unrelated)
                mine, theirs = shared_tokens(one, third)
                unrelated = scores[0] + self._likelihood(third, theirs) - self._likelihood(one, mine)
            found.append((*scores, unrelated))
        return found

    def _tokens(self, text: str) -> list[int]:
        features = self._read({"text": tf.constant([text])})
        return features["token_ids"].numpy()[0][features["padding_mask"].numpy()[0] > 0].tolist()

    def _likelihood(self, tokens: Sequence[int], places: Sequence[int]) -> float:
        """The sum of the log-probabilities of the tokens at some places, each hidden by itself."""
        special = len(self._preprocessor.layout.start), len(tokens) - len(self._preprocessor.layout.end)
        places = [place for place in places if special[0] <= place < special[1]]
        total = 0.0
        for start in range(0, len(places), AT_ONCE):
            some = np.array(places[start : start + AT_ONCE])
            ids = np.repeat(np.array([tokens], np.int32), len(some), 0)
            ids[np.arange(len(some)), some] = self._preprocessor.vocabulary.mask_id
            features = {"token_ids": ids, "padding_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
            inputs = {name: features[name] for name in self._trained.model.input if name in features}
            logits = self._trained.model({**inputs, "mask_positions": some[:, None].astype(np.int32)}, training=False)
            each = log_softmax(np.asarray(logits, np.float64)[:, 0], axis=-1)  # (places, vocabulary)
            total += float(each[np.arange(len(some)), np.array(tokens)[some]].sum())
        return total


class CausalLikelihood:
    """Log-likelihood of a sentence, token by token from its beginning.

    Args:
        trained: of task text_generation.
    """

    def __init__(self, trained: Trained):
        self._trained, self._preprocessor = trained, trained.preprocessor
        self._encode = tf.function(self._preprocessor.encoder, autograph=False)

    def scores(self, pairs: Sequence[Pair]) -> Scores:
        """Of each pair: its stereotype, the other and the unrelated sentence; None where there is none."""
        found: Scores = []
        for pair in pairs:
            unrelated = None if pair.unrelated is None else self._likelihood(pair.unrelated)
            found.append((self._likelihood(pair.stereotype), self._likelihood(pair.other), unrelated))
        return found

    def _likelihood(self, text: str) -> float:
        begin = [int(token) for token in np.ravel(self._preprocessor.prefix)] or [int(self._preprocessor.begin)]
        ids = np.array([[*begin, *self._encode(tf.constant([text])).to_list()[0]]], np.int32)
        ids = ids[:, : self._preprocessor.max_length]
        features = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
        logits = np.asarray(self._trained.model(features, training=False), np.float64)[0]
        each = log_softmax(logits[:-1], axis=-1)  # (length - 1, vocabulary)
        following = ids[0, 1:]
        return float(each[np.arange(len(following)), following][len(begin) - 1 :].sum())
