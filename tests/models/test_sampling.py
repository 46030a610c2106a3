"""Draws by seed and step alone, and the law that tokens are drawn by."""

import numpy as np
import pytest
import tensorflow as tf

from kerasft.models.sampling import choose, penalised, seeds_of_prompts, uniform_draws

MASK = 2**64 - 1


def split_mix(state: int) -> int:
    """SplitMix64's output function, from Vigna's C code."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def test_draws_are_those_of_split_mix():
    seeds = [0, 1, -5, 2**62]
    found = uniform_draws(tf.constant(seeds, tf.int64), tf.constant(3)).numpy()
    golden = 0x9E3779B97F4A7C15
    for row, seed in enumerate(seeds):
        start = split_mix((seed + golden) & MASK)
        wanted = [(split_mix((start + step * golden) & MASK) >> 40) / 2**24 for step in (1, 2, 3)]
        assert found[row].tolist() == wanted


def test_draws_are_uniform_and_a_row_has_its_own():
    found = uniform_draws(tf.range(200, dtype=tf.int64), tf.constant(500)).numpy()
    assert found.min() >= 0 and found.max() < 1
    counts, _ = np.histogram(found, 20, (0, 1))
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8  # chi-squared, 19 degrees of freedom, p = 0.001
    assert abs(np.corrcoef(found[:-1].ravel(), found[1:].ravel())[0, 1]) < 0.015
    alone = uniform_draws(tf.constant([7], tf.int64), tf.constant(20)).numpy()[0]
    np.testing.assert_array_equal(alone, found[7, :20])


def test_the_seed_of_a_prompt_is_that_of_its_tokens_in_order():
    ids = tf.constant([[5, 6, 7, 9], [5, 6, 7, 0], [6, 5, 7, 0], [5, 6, 0, 0]])
    seeds = seeds_of_prompts(ids, tf.constant([3, 3, 3, 2]), 4).numpy()
    assert seeds[0] == seeds[1] and len(set(seeds.tolist())) == 3
    assert (seeds_of_prompts(ids, tf.constant([3, 3, 3, 2]), 5).numpy() - seeds == 1).all()


LOGITS = np.log([[0.5, 0.3, 0.15, 0.05]]).astype(np.float32)[:, [2, 0, 3, 1]]  # likeliest: 1, 3, 0, 2


def law(temperature=1.0, top_p=1.0, top_k=None, draws=20000) -> np.ndarray:
    """How often each token is drawn."""
    points = ((np.arange(draws) + 0.5) / draws).astype(np.float32)
    column = tf.fill([draws], 1.0)
    logits = tf.constant(np.repeat(LOGITS, draws, 0))
    found = choose(logits, tf.constant(points), temperature * column, top_p * column, top_k)
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
    np.testing.assert_allclose(law(**wish), expected, atol=1e-3)


def test_rows_have_their_own_wishes():
    logits = tf.constant(np.repeat(LOGITS, 3, 0))
    found = choose(logits, tf.fill([3], 0.97), tf.constant([0.0, 1.0, 1.0]), tf.constant([1.0, 1.0, 0.7]), None)
    assert found.numpy().tolist() == [1, 2, 3]


def test_a_penalty_makes_less_likely_on_both_sides_of_zero():
    logits = tf.constant([[2.0, -2.0, 2.0, -2.0]])
    present = tf.constant([[True, True, False, False]])
    assert penalised(logits, present, 2.0).numpy().tolist() == [[1.0, -4.0, 2.0, -2.0]]
