"""Words that a model's own token vectors take for near to a word, among those of its training texts."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from kerasft.attribution.explainer import Explainer
from kerasft.attribution.words import split_words

MOST_WORDS = 4000  # the most frequent ones
NEAREST = 6
LEAST_COSINE = 0.4


class WordNeighbours:
    """What may stand for a word.

    Args:
        explainer: of the model.
        texts: that words are taken from.
    """

    def __init__(self, explainer: Explainer, texts: Iterable[str]):
        counts = Counter(
            word for text in texts for start, end in split_words(text) if (word := text[start:end].lower()).isalpha()
        )
        self._layer = explainer.model.embeddings.layer
        self._encode = tf.function(explainer.preprocessor.encoder, autograph=False)
        self.words = [word for word, _ in counts.most_common(MOST_WORDS)]
        self._vectors = self._of(self.words) if self.words else np.zeros((0, 1), np.float32)

    @functools.lru_cache(maxsize=4096)  # noqa: B019  it lives as long as an audit
    def __call__(self, word: str) -> list[str]:
        """The nearest words, the nearest first, with the word's own capitals; none that begin or end alike."""
        if not word.isalpha() or not self.words:
            return []
        cosines = self._vectors @ self._of([word.lower()])[0]
        order = np.argsort(-cosines, kind="stable")[: 4 * NEAREST]
        near = [self.words[i] for i in order if cosines[i] >= LEAST_COSINE and self.words[i] != word.lower()]
        return [other.capitalize() if word[0].isupper() else other for other in near[:NEAREST]]

    def _of(self, words: list[str]) -> np.ndarray:
        """(words, width) unit vectors, the mean of their tokens'."""
        ids = self._encode(tf.constant(words))
        vectors = tf.reduce_mean(ids.with_flat_values(tf.cast(self._layer(ids.flat_values), tf.float32)), axis=1)
        return tf.math.l2_normalize(vectors, axis=1).numpy()
