"""Logits -> the next token of each row, the likeliest or drawn; what is drawn depends on the row's seed and step."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kerasft.models.shapes import static_size

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIXERS = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))


def gumbel_noise(seeds: tf.Tensor, step: tf.Tensor, width: int) -> tf.Tensor:
    """Standard Gumbel noise: a pure function of seed, step and token, the same in every process and on every device.

    SplitMix64 (Steele, Lea and Flood 2014, OOPSLA), because TensorFlow's stateless generators take one seed for a whole
    tensor: a row's noise would depend on where it stands in the batch.

    Args:
        seeds: (batch,) int64.
        step: int32, tokens that were written before.
        width: of the vocabulary.

    Returns:
        (batch, width) float32.
    """
    of_row = _mix(tf.bitcast(seeds, tf.uint64) + _GOLDEN)
    of_step = _mix(of_row + tf.cast(step + 1, tf.uint64) * _GOLDEN)
    words = _mix(of_step[:, tf.newaxis] + tf.cast(tf.range(1, width + 1), tf.uint64) * _GOLDEN)
    bits = tf.cast(tf.bitcast(tf.bitwise.right_shift(words, np.uint64(12)), tf.int64), tf.float64)
    return tf.cast(-tf.math.log(-tf.math.log((bits + 0.5) * 2.0**-52)), tf.float32)  # between 0 and 1, and neither


def seeds_of_prompts(token_ids: tf.Tensor, lengths: tf.Tensor, seed: int) -> tf.Tensor:
    """A seed for each prompt, by its tokens: the same prompt draws the same, and others draw otherwise.

    Args:
        token_ids: (batch, longest).
        lengths: (batch,) tokens that count.
        seed: `seed` of the config: with another one all prompts draw otherwise.

    Returns:
        (batch,) int64.
    """
    positions = tf.cast(tf.range(tf.shape(token_ids)[1]), tf.uint64) * _GOLDEN
    mixed = tf.bitcast(_mix(tf.cast(token_ids, tf.uint64) + positions), tf.int64)
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
    logits: tf.Tensor,
    seeds: tf.Tensor,
    step: tf.Tensor,
    temperature: tf.Tensor,
    top_p: tf.Tensor,
    top_k: int | None,
) -> tf.Tensor:
    """The next token of each row: logits by temperature, then the `top_k` likeliest, then the nucleus of them.

    Nucleus sampling: Holtzman et al. 2019, arXiv:1904.09751. The order is that of Hugging Face's generate. What is left
    is drawn by the Gumbel-max trick (Maddison et al. 2014, arXiv:1411.0030) with noise of each token's own: a draw
    along the summed probabilities would take another token wherever rounding, which differs with a batch's shape,
    changes the order of two that are about as likely.

    Args:
        logits: (batch, vocabulary) float32.
        seeds: (batch,) int64.
        step: int32, tokens that were written before.
        temperature: (batch,); not above 0: the likeliest token, whatever was drawn.
        top_p: (batch,); the likeliest token is always kept.
        top_k: tokens to draw among; None: all.

    Returns:
        (batch,) int32.
    """
    likeliest = tf.argmax(logits, axis=1, output_type=tf.int32)
    sampled = temperature > 0
    size = static_size(logits, 1)
    width = size if top_k is None else min(top_k, size)

    def draw() -> tf.Tensor:
        scaled = logits / tf.where(sampled, temperature, 1.0)[:, tf.newaxis]  # (batch, vocabulary)
        best, ids = tf.math.top_k(scaled - tf.reduce_max(scaled, 1, keepdims=True), width)
        nucleus = tf.cumsum(tf.nn.softmax(best), axis=1, exclusive=True) < top_p[:, tf.newaxis]
        nucleus |= tf.range(width) == 0
        noise = tf.gather(gumbel_noise(seeds, step, size), ids, batch_dims=1)
        index = tf.argmax(tf.where(nucleus, best + noise, best.dtype.min), axis=1, output_type=tf.int32)
        return tf.gather(ids, index, batch_dims=1)

    return tf.where(sampled, tf.cond(tf.reduce_any(sampled), draw, lambda: likeliest), likeliest)
