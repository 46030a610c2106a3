"""Sequences of tags: the best one, and how probable they are, under a linear chain (Lafferty et al. 2001).

All of it is loops over time in plain TensorFlow ops, so that it trains, exports and is served alike. Emissions are
(batch, time, tags), `lengths` (batch,) says how much of each row is real, and a chain is `transitions` (tags, tags),
from a tag to the next, with `start` (tags,) for the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
import tensorflow as tf

FORBIDDEN = -1e9  # finite, so that no difference of two is NaN


class TagScores(Protocol):
    """What a decoder reads of a chain.

    Attributes:
        transitions: (tags, tags), from a tag to the next.
        start: (tags,) of the first.
    """

    @property
    def transitions(self) -> Any: ...

    @property
    def start(self) -> Any: ...


class FixedScores(NamedTuple):
    """Scores of a chain that no longer train, float32."""

    transitions: np.ndarray
    start: np.ndarray


def in_order(chain: TagScores, order: Sequence[int]) -> FixedScores:
    """A chain's scores with the tags in another order: the first one is its `order[0]`-th."""
    transitions, start = (keras.ops.convert_to_numpy(scores) for scores in (chain.transitions, chain.start))
    return FixedScores(transitions[np.ix_(order, order)], start[np.asarray(order)])


def mean_scores(chains: Sequence[TagScores], weights: Sequence[float]) -> FixedScores:
    """The chain that gives every path the weighted mean of its scores.

    Beside the mean of emissions it is the logarithmic opinion pool of the chains (Smith et al. 2005, "Logarithmic
    Opinion Pools for Conditional Random Fields"): the probability of a path is the geometric mean of theirs, made to
    sum to 1. The mean of the probabilities themselves is that of no chain, and has no exact decoder.
    """
    transitions, start = (sum(w * np.asarray(part) for w, part in zip(weights, parts)) for parts in zip(*chains))
    return FixedScores(np.asarray(transitions, np.float32), np.asarray(start, np.float32))


@keras.saving.register_keras_serializable(package="kerasft")
class Chain(keras.layers.Layer):
    """Holds the learnt scores of a chain and passes emissions through.

    It stands in the model so that its weights are saved, averaged and updated with the model's; the loss and the
    decoder read them from here.
    """

    def build(self, shape):
        tags = shape[-1]
        self.transitions = self.add_weight((tags, tags), "zeros", name="transitions", dtype="float32")
        self.start = self.add_weight((tags,), "zeros", name="start", dtype="float32")

    def call(self, emissions):
        return emissions


def iob2_rules(types: int) -> tuple[np.ndarray, np.ndarray]:
    """What IOB2 allows among O and B, I of each type: (tags, tags) transitions and (tags,) starts, 0 or FORBIDDEN."""
    tags = 1 + 2 * types
    inside = np.arange(2, tags, 2)
    transitions = np.zeros((tags, tags), np.float32)
    transitions[:, inside] = FORBIDDEN
    transitions[inside - 1, inside] = transitions[inside, inside] = 0.0
    start = np.zeros(tags, np.float32)
    start[inside] = FORBIDDEN
    return transitions, start


def best_tags(emissions: tf.Tensor, lengths: tf.Tensor, transitions: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """(batch, time, tags) -> (batch, time) int32, the best path (Viterbi 1967); beyond a length it means nothing."""
    emissions, time = _some_time(emissions)
    steps, tags = tf.shape(emissions)[1], tf.shape(emissions)[2]
    stay = tf.range(tags)[tf.newaxis]  # (1, tags)

    def forward(step, score, back):
        candidates = score[:, :, tf.newaxis] + transitions  # (batch, from, to)
        live = (step < lengths)[:, tf.newaxis]  # (batch, 1)
        best = tf.where(live, tf.argmax(candidates, 1, tf.int32), stay)
        score = tf.where(live, tf.reduce_max(candidates, 1) + emissions[:, step], score)
        return step + 1, score, back.write(step, best)

    back = tf.TensorArray(tf.int32, size=steps, element_shape=[None, None])
    first = start + emissions[:, 0]
    back = back.write(0, tf.broadcast_to(stay, tf.shape(first)))
    _, score, back = tf.while_loop(
        lambda step, *_: step < steps, forward, (tf.constant(1), first, back), maximum_iterations=steps
    )
    pointers = back.stack()  # (time, batch, tags)

    def backward(step, tag, path):
        tag = tf.gather(pointers[step], tag, batch_dims=1)  # (batch, tags), (batch,) -> (batch,)
        return step - 1, tag, path.write(step - 1, tag)

    last = tf.argmax(score, -1, tf.int32)
    path = tf.TensorArray(tf.int32, size=steps, element_shape=[None]).write(steps - 1, last)
    _, _, path = tf.while_loop(lambda step, *_: step > 0, backward, (steps - 1, last, path), maximum_iterations=steps)
    return tf.transpose(path.stack())[:, :time]  # (time, batch) -> (batch, time)


def log_partition(emissions: tf.Tensor, lengths: tf.Tensor, transitions: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """(batch, time, tags) -> (batch,) log of the summed exponentials of all paths' scores; 0 for a length of 0."""
    emissions, _ = _some_time(emissions)
    steps = tf.shape(emissions)[1]

    def forward(step, score):
        summed = tf.reduce_logsumexp(score[:, :, tf.newaxis] + transitions, 1) + emissions[:, step]
        return step + 1, tf.where((step < lengths)[:, tf.newaxis], summed, score)

    first = start + emissions[:, 0]
    _, score = tf.while_loop(lambda step, _: step < steps, forward, (tf.constant(1), first), maximum_iterations=steps)
    return tf.where(lengths > 0, tf.reduce_logsumexp(score, -1), 0.0)


def path_score(
    emissions: tf.Tensor, tags: tf.Tensor, lengths: tf.Tensor, transitions: tf.Tensor, start: tf.Tensor
) -> tf.Tensor:
    """(batch, time, tags), (batch, time) int32 -> (batch,) score of that path."""
    real = tf.sequence_mask(lengths, tf.shape(emissions)[1], emissions.dtype)
    kinds = tf.shape(emissions)[2]
    hot = tf.one_hot(tags, kinds, dtype=emissions.dtype) * real[..., tf.newaxis]
    scores = tf.einsum("btk,btk->b", hot, emissions) + tf.einsum("bk,k->b", hot[:, 0], start)
    return scores + tf.einsum("bti,ij,btj->b", hot[:, :-1], transitions, hot[:, 1:])


def tag_probabilities(emissions: tf.Tensor, lengths: tf.Tensor, transitions: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """(batch, time, tags) -> the same, each tag's probability over all paths: the gradient of the partition."""
    with tf.GradientTape() as tape:
        tape.watch(emissions)
        total = tf.reduce_sum(log_partition(emissions, lengths, transitions, start))
    return tf.convert_to_tensor(tape.gradient(total, emissions))


def _some_time(emissions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """At least one step, and how many there were."""
    time = tf.shape(emissions)[1]
    return tf.pad(emissions, [[0, 0], [0, tf.maximum(1 - time, 0)], [0, 0]]), time
