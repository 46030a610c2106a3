"""Draws by seed and step alone, and the law that tokens are drawn by."""

import math

import numpy as np
import pytest
import tensorflow as tf

from kerasft.models.generation.sampling import choose, gumbel_noise, penalised, seeds_of_prompts

MASK = 2**64 - 1


def split_mix(state: int) -> int:
    """SplitMix64's output function, from Vigna's C code."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def test_noise_is_of_split_mix():
    seeds, golden = [0, 1, -5, 2**62], 0x9E3779B97F4A7C15
    for step in (0, 6):
        found = gumbel_noise(tf.constant(seeds, tf.int64), tf.constant(step), 3).numpy()
        for row, seed in enumerate(seeds):
            start = split_mix((split_mix((seed + golden) & MASK) + (step + 1) * golden) & MASK)
            bits = [split_mix((start + token * golden) & MASK) >> 12 for token in (1, 2, 3)]
            np.testing.assert_allclose(found[row], [-math.log(-math.log((b + 0.5) / 2**52)) for b in bits], rtol=1e-6)


def test_noise_is_of_gumbels_law_and_a_row_has_its_own():
    found = gumbel_noise(tf.range(200, dtype=tf.int64), tf.constant(3), 500).numpy()
    counts, _ = np.histogram(np.exp(-np.exp(-found)), 20, (0, 1))
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8  # chi-squared, 19 degrees of freedom, p = 0.001
    assert abs(np.corrcoef(found[:-1].ravel(), found[1:].ravel())[0, 1]) < 0.015
    next_step = gumbel_noise(tf.range(200, dtype=tf.int64), tf.constant(4), 500).numpy()
    assert abs(np.corrcoef(found.ravel(), next_step.ravel())[0, 1]) < 0.015
    alone = gumbel_noise(tf.constant([7], tf.int64), tf.constant(3), 20).numpy()[0]
    np.testing.assert_array_equal(alone, found[7, :20])


def test_the_seed_of_a_prompt_is_that_of_its_tokens_in_order():
    ids = tf.constant([[5, 6, 7, 9], [5, 6, 7, 0], [6, 5, 7, 0], [5, 6, 0, 0]])
    seeds = seeds_of_prompts(ids, tf.constant([3, 3, 3, 2]), 4).numpy()
    assert seeds[0] == seeds[1] and len(set(seeds.tolist())) == 3
    assert (seeds_of_prompts(ids, tf.constant([3, 3, 3, 2]), 5).numpy() - seeds == 1).all()


LOGITS = np.log([[0.5, 0.3, 0.15, 0.05]]).astype(np.float32)[:, [2, 0, 3, 1]]  # likeliest: 1, 3, 0, 2


def law(temperature=1.0, top_p=1.0, top_k=None, draws=100_000) -> np.ndarray:
    """How often each token is drawn."""
    column = tf.fill([draws], 1.0)
    drawn_by = tf.range(draws, dtype=tf.int64), tf.constant(0), temperature * column, top_p * column
    found = choose(tf.constant(np.repeat(LOGITS, draws, 0)), *drawn_by, top_k)
    return np.bincount(found.numpy(), minlength=4) / draws


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({}, [0.15, 0.5, 0.05, 0.3]),
        ({"temperature": 0.0}, [0, 1, 0, 0]),
        ({"temperature": -1.0}, [0, 1, 0, 0]),
        ({"temperature": float("nan")}, [0, 1, 0, 0]),
        ({"temperature": 1e-6}, [0, 1, 0, 0]),
        ({"temperature": float("inf")}, [0.25, 0.25, 0.25, 0.25]),
        ({"temperature": 0.5}, np.array([0.0225, 0.25, 0.0025, 0.09]) / 0.365),
        ({"top_k": 2}, [0, 0.625, 0, 0.375]),
        ({"top_k": 99}, [0.15, 0.5, 0.05, 0.3]),
        ({"top_p": 0.7}, [0, 0.625, 0, 0.375]),  # 0.5 alone is less than 0.7
        ({"top_p": 0.4}, [0, 1, 0, 0]),
        ({"top_p": 0.0}, [0, 1, 0, 0]),
        ({"top_p": float("nan")}, [0, 1, 0, 0]),
        ({"top_p": 0.85, "top_k": 3}, np.array([0.15, 0.5, 0, 0.3]) / 0.95),
        ({"top_p": 0.8, "top_k": 3}, [0, 0.625, 0, 0.375]),
    ],
)
def test_tokens_are_drawn_by_the_law(wish, expected):
    np.testing.assert_allclose(law(**wish), expected, atol=6e-3)  # four standard deviations


def test_rows_have_their_own_wishes():
    logits = tf.constant(np.repeat(LOGITS, 300, 0))
    temperature, top_p = (tf.constant(np.repeat(values, 100), tf.float32) for values in ([0, 1, 1], [1, 1, 0.7]))
    found = choose(logits, tf.range(300, dtype=tf.int64), tf.constant(0), temperature, top_p, None).numpy()
    assert [set(part.tolist()) for part in np.split(found, 3)] == [{1}, {0, 1, 2, 3}, {1, 3}]


def test_rounding_of_flat_logits_changes_no_draw():
    """Of 8,000 tokens many are about as likely as their neighbours; a batch's shape decides how logits are rounded."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (256, 8000)).astype(np.float32)
    rounded = logits + random.uniform(-2e-5, 2e-5, logits.shape).astype(np.float32)
    ones = tf.ones([256])
    one, other = (
        choose(tf.constant(each), tf.range(256, dtype=tf.int64), tf.constant(0), ones, ones, None).numpy()
        for each in (logits, rounded)
    )
    assert len(set(one.tolist())) > 100 and np.array_equal(one, other)


def test_a_penalty_makes_less_likely_on_both_sides_of_zero():
    logits = tf.constant([[2.0, -2.0, 2.0, -2.0]])
    present = tf.constant([[True, True, False, False]])
    assert penalised(logits, present, 2.0).numpy().tolist() == [[1.0, -4.0, 2.0, -2.0]]
