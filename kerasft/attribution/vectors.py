"""A model as a function of its token vectors: what methods of attribution call.

Layers have Keras' own classes here, in float32: forms that training installs have gradients of their own, and none of
second order. Position and segment embeddings stay as they are, and so does the padding mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.attribution.base import Question
from kerasft.training.layers.perturbed_embeddings import TokenEmbeddings, added

TOKENS_AT_ONCE = 1 << 11  # of one call of the model, padding included
MASKS = ("[MASK]", "<mask>")  # how families spell the token that hides others
WRITTEN = "written"  # 1 at tokens that a decoder reads, 0 at those of its encoder
_INPUTS = ("token_ids", "padding_mask", "segment_ids", WRITTEN)

Batch = Mapping[str, tf.Tensor]


class VectorModel:
    """Scores of rows, and their gradients.

    Args:
        model: features -> logits.
        pad_values: input -> its value where there is no token.
        baseline: id of the token that stands for "no word".

    Raises:
        UserError: the model has no layer of token embeddings as KerasHub makes them, or several inputs of tokens.
    """

    def __init__(self, model: keras.Model, pad_values: Mapping[str, int], baseline: int):
        self.model, self.pad_values, self.baseline = model, dict(pad_values), baseline
        self.names = [name for name in _INPUTS if name in pad_values]
        self.embeddings = TokenEmbeddings(model, "kerasft explain", "take --method occlusion")
        features = {name: tf.TensorSpec([None, None], tf.int32) for name in self.names}
        index, weights = tf.TensorSpec([None, None, None], tf.int32), tf.TensorSpec([None, None], tf.float32)
        base, numbers = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.float32)
        graph = lambda function, *specs: tf.function(function, input_signature=specs, autograph=False)  # noqa: E731
        self._logits = graph(self.call, features)
        self._scores = graph(self._score, features, index, weights)
        self._along = graph(self.integrate, features, base, index, weights, numbers, numbers)
        self._at_input = graph(self.gradient_at_input, features, index, weights)

    def scores(self, questions: Sequence[Question], token_ids: Sequence[np.ndarray]) -> np.ndarray:
        """(n,) the number of each question where its row had these tokens instead."""
        changed = [
            Question({**question.features, "token_ids": ids}, question.words, 0, question.index, question.weights)
            for question, ids in zip(questions, token_ids, strict=True)
        ]
        found = np.empty(len(changed), np.float64)
        for part in self.batches(changed, 1):
            found[part] = self._scores(*self.padded([changed[i] for i in part])).numpy()
        return found

    def logits(self, question: Question, token_ids: Sequence[np.ndarray]) -> np.ndarray:
        """(n, ...) all logits of one row where it had these tokens instead."""
        size = max(1, TOKENS_AT_ONCE // max(question.length, 1))
        parts = []
        for start in range(0, len(token_ids), size):
            ids = np.stack(token_ids[start : start + size])
            features = {
                name: tf.constant(np.repeat(np.asarray(question.features[name])[None], len(ids), 0), tf.int32)
                for name in self.names
            }
            parts.append(self._logits(features | {"token_ids": tf.constant(ids, tf.int32)}).numpy())
        return np.concatenate(parts)

    def integrated(
        self, questions: Sequence[Question], points: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gradients along the straight path from the baseline's vectors to the text's, times what lies between.

        Args:
            questions: that fit into one call.
            points: (p,) from 0, the baseline, to 1, the text.
            weights: (p,) of the sum over points.

        Returns:
            (n, longest) of each token, (n,) the number of the text, (n,) that of the baseline.
        """
        features, index, logit_weights = self.padded(questions)
        base = self.hidden(features["token_ids"].numpy(), questions)
        path = tf.constant(np.concatenate([points, [1.0, 0.0]]), tf.float32)  # the last two give both ends
        parts, values = self._along(
            features, tf.constant(base), index, logit_weights, path, tf.constant([*weights, 0.0, 0.0], tf.float32)
        )
        ends = values.numpy().astype(np.float64)
        return parts.numpy().astype(np.float64), ends[:, -2], ends[:, -1]

    def gradient_times_input(self, questions: Sequence[Question]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `integrated` gives it, with one gradient at the text; the baseline is a vector of zeros a token."""
        parts, values, zeros = self._at_input(*self.padded(questions))
        return tuple(each.numpy().astype(np.float64) for each in (parts, values, zeros))

    def hidden(self, token_ids: np.ndarray, questions: Sequence[Question]) -> np.ndarray:
        """(n, longest) ids with the baseline's at every token of a word; special tokens and padding stay."""
        hidden = token_ids.copy()
        for row, question in enumerate(questions):
            hidden[row, : question.length][question.words >= 0] = self.baseline
        return hidden

    def batches(self, questions: Sequence[Question], passes: int) -> Iterator[np.ndarray]:
        """Indices of questions that go through the model together, the longest first.

        Args:
            questions: all of them.
            passes: rows that each of them takes.
        """
        order = np.argsort([-question.length for question in questions], kind="stable")
        start = 0
        while start < len(order):
            longest = questions[order[start]].length
            size = max(1, TOKENS_AT_ONCE // max(longest * passes, 1))
            yield order[start : start + size]
            start += size

    def padded(self, questions: Sequence[Question]) -> tuple[Batch, tf.Tensor, tf.Tensor]:
        """Rows of one length, with which logits their numbers are of: features, (n, k, rank - 1), (n, k)."""
        longest = max(question.length for question in questions)
        features = {}
        for name in self.names:
            rows = np.full((len(questions), longest), self.pad_values[name], np.int32)
            for row, question in enumerate(questions):
                rows[row, : question.length] = question.features[name]
            features[name] = tf.constant(rows)
        most = max(len(question.weights) for question in questions)
        index = np.zeros((len(questions), most, questions[0].index.shape[1]), np.int32)
        weights = np.zeros((len(questions), most), np.float32)
        for row, question in enumerate(questions):
            index[row, : len(question.index)], weights[row, : len(question.weights)] = question.index, question.weights
        return features, tf.constant(index), tf.constant(weights)

    # Graphs.
    def call(self, features: Batch, change: tf.Tensor | None = None) -> tf.Tensor:
        """Logits of features.

        Args:
            features: (rows, length) each.
            change: (rows, length, width) is added to the vectors of tokens.
        """
        if change is None:
            return self.model(dict(features), training=False)
        with self.embeddings.installed(), added(change):
            return self.model(dict(features), training=False)

    def _score(
        self, features: Batch, index: tf.Tensor, weights: tf.Tensor, change: tf.Tensor | None = None
    ) -> tf.Tensor:
        logits = self.call(features, change)
        return tf.reduce_sum(tf.gather_nd(logits, index, batch_dims=1) * weights, 1)  # (rows, k) -> (rows,)

    def _vectors(self, token_ids: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.embeddings.layer(token_ids), tf.float32)  # (rows, length, width)

    def _gradients(
        self, features: Batch, change: tf.Tensor, index: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(rows,) scores where `change` is added to the vectors, and their gradients, like `change`."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(change)
            scores = self._score(features, index, weights, change)
        return scores, tf.convert_to_tensor(tape.gradient(scores, change))

    def integrate(
        self,
        features: Batch,
        base: tf.Tensor,
        index: tf.Tensor,
        logit_weights: tf.Tensor,
        points: tf.Tensor,
        weights: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """(n, length) parts, (n, points) scores."""
        difference = self._vectors(features["token_ids"]) - self._vectors(base)  # (n, length, width)
        count, shape = tf.size(points), tf.shape(difference)
        change = (points[None, :, None, None] - 1.0) * difference[:, None]  # (n, points, length, width)
        change = tf.reshape(change, [shape[0] * count, shape[1], shape[2]])
        many = {name: tf.repeat(value, count, 0) for name, value in features.items()}
        scores, gradients = self._gradients(
            many, change, tf.repeat(index, count, 0), tf.repeat(logit_weights, count, 0)
        )
        gradients = tf.reshape(gradients, [shape[0], count, shape[1], shape[2]])
        mean = tf.einsum("nplw,p->nlw", gradients, weights)
        return tf.reduce_sum(mean * difference, -1), tf.reshape(scores, [shape[0], count])

    def gradient_at_input(self, features: Batch, index: tf.Tensor, weights: tf.Tensor) -> Any:
        vectors = self._vectors(features["token_ids"])
        scores, gradients = self._gradients(features, tf.zeros_like(vectors), index, weights)
        zeros = self._score(features, index, weights, -vectors)
        mask = tf.cast(features["padding_mask"], tf.float32)
        return tf.reduce_sum(vectors * gradients, -1) * mask, scores, zeros


def baseline_id(preprocessor: Any) -> int:
    """The token that stands where a word was taken away: the mask, where the tokenizer has one, or the padding.

    Args:
        preprocessor: of texts, with an `encoder` and a `layout`.
    """
    encode = tf.function(preprocessor.encoder, autograph=False)
    for ids in encode(tf.constant(MASKS)).to_list():
        if len(ids) == 1 and ids[0] != getattr(preprocessor.encoder, "unknown_id", None):
            return int(ids[0])
    return int(preprocessor.layout.pad)
