"""Logits -> the next token of each row, the likeliest or drawn; a row's draws depend on its own seed and step alone."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIXERS = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))


def uniform_draws(seeds: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Numbers in [0, 1): a pure function of seed and step, the same in every process and on every device.

    SplitMix64 (Steele, Lea and Flood 2014, OOPSLA), because TensorFlow's stateless generators take one seed for a whole
    tensor: a row's draws would depend on where it stands in the batch.

    Args:
        seeds: (batch,) int64.
        steps: how many numbers a row gets.

    Returns:
        (batch, steps) float32, multiples of 2 ** -24.
    """
    start = _mix(tf.bitcast(seeds, tf.uint64) + _GOLDEN)
    counts = tf.cast(tf.range(1, steps + 1), tf.uint64) * _GOLDEN
    bits = tf.bitwise.right_shift(_mix(start[:, tf.newaxis] + counts), np.uint64(40))
    return tf.cast(tf.cast(bits, tf.int32), tf.float32) * 2.0**-24


def seeds_of_prompts(token_ids: tf.Tensor, lengths: tf.Tensor, seed: int) -> tf.Tensor:
    """A seed for each prompt, by its tokens: the same prompt draws the same, and others draw otherwise.

    Args:
        token_ids: (batch, longest).
        lengths: (batch,) tokens that count.
        seed: of the config.

    Returns:
        (batch,) int64.
    """
    places = tf.cast(tf.range(tf.shape(token_ids)[1]), tf.uint64) * _GOLDEN
    mixed = tf.bitcast(_mix(tf.cast(token_ids, tf.uint64) + places), tf.int64)
    counted = tf.sequence_mask(lengths, tf.shape(token_ids)[1])
    return tf.reduce_sum(tf.where(counted, mixed, tf.zeros([], tf.int64)), axis=1) + seed


def _mix(state: tf.Tensor) -> tf.Tensor:
    for shift, factor in _MIXERS:
        state = tf.bitwise.bitwise_xor(state, tf.bitwise.right_shift(state, np.uint64(shift))) * factor
    return tf.bitwise.bitwise_xor(state, tf.bitwise.right_shift(state, np.uint64(31)))


def penalised(logits: tf.Tensor, present: tf.Tensor, penalty: float) -> tf.Tensor:
    """Makes tokens that are there already less likely (Keskar et al. 2019, arXiv:1909.05858).

    Args:
        logits: (batch, vocabulary).
        present: (batch, vocabulary) bool.
        penalty: divides positive logits and multiplies negative ones.
    """
    return tf.where(present, tf.where(logits > 0, logits / penalty, logits * penalty), logits)


def choose(
    logits: tf.Tensor, draws: tf.Tensor, temperature: tf.Tensor, top_p: tf.Tensor, top_k: int | None
) -> tf.Tensor:
    """The next token of each row: logits by temperature, then the `top_k` likeliest, then the nucleus of them.

    Nucleus sampling: Holtzman et al. 2019, arXiv:1904.09751. The order is that of Hugging Face's generate.

    Args:
        logits: (batch, vocabulary) float32.
        draws: (batch,) in [0, 1).
        temperature: (batch,); not above 0: the likeliest token, whatever was drawn.
        top_p: (batch,); the likeliest token is always kept.
        top_k: tokens to draw among; None: all.

    Returns:
        (batch,) int32.
    """
    likeliest = tf.argmax(logits, axis=1, output_type=tf.int32)
    drawn = temperature > 0
    width = logits.shape[1] if top_k is None else min(top_k, logits.shape[1])

    def draw() -> tf.Tensor:
        scaled = logits / tf.where(drawn, temperature, 1.0)[:, tf.newaxis]
        best, ids = tf.math.top_k(scaled - tf.reduce_max(scaled, 1, keepdims=True), width)
        probabilities = tf.nn.softmax(best)
        kept = tf.cumsum(probabilities, axis=1, exclusive=True) < top_p[:, tf.newaxis]
        kept |= tf.range(width) == 0
        sums = tf.cumsum(tf.where(kept, probabilities, 0.0), axis=1)
        passed = tf.reduce_sum(tf.cast(sums <= draws[:, tf.newaxis] * sums[:, -1:], tf.int32), axis=1)
        last = tf.reduce_sum(tf.cast(kept, tf.int32), axis=1) - 1  # rounding must not go beyond
        return tf.gather(ids, tf.minimum(passed, last), batch_dims=1)

    return tf.where(drawn, tf.cond(tf.reduce_any(drawn), draw, lambda: likeliest), likeliest)
