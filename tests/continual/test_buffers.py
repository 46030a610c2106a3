"""Buffers are pure functions of the seed and the stream, and keep what they promise."""

import numpy as np
import pytest
from scipy.stats import chisquare

from kerasft.continual.memory.buffers import balanced, herding, reservoir
from kerasft.continual.methods.kept_rows import drawn


def test_a_reservoir_keeps_each_row_with_the_same_frequency():
    counts = np.zeros(20)
    for seed in range(1500):
        counts[reservoir(5, 20, seed)] += 1
    assert counts.sum() == 1500 * 5
    assert chisquare(counts).pvalue > 1e-3


def test_a_reservoir_that_goes_on_is_one_of_the_whole_stream():
    whole = reservoir(7, 50, seed=3)
    first = reservoir(7, 20, seed=3)
    second = reservoir(7, 30, seed=3, kept=len(first), seen=20)
    assert [first[i] if i < 7 else 20 + i - 7 for i in second] == whole
    assert whole == reservoir(7, 50, seed=3) != reservoir(7, 50, seed=4)


def test_rows_leave_a_reservoir_that_got_smaller_each_as_likely():
    counts = np.zeros(20)
    for seed in range(1500):
        larger = reservoir(8, 15, seed)
        chosen = reservoir(5, 5, seed, kept=len(larger), seen=15)
        assert len(chosen) == 5
        counts[[larger[row] if row < 8 else 15 + row - 8 for row in chosen]] += 1
    assert chisquare(counts).pvalue > 1e-3


def test_a_row_of_several_types_is_kept_for_one_that_has_too_few():
    types, digests = [{"a"}] * 5 + [{"a", "b"}] * 5 + [set()] * 5, [f"row {i}" for i in range(15)]
    chosen = balanced(types, digests, 2, seed=0)
    assert len(chosen) == 4 and sum("b" in types[row] for row in chosen) >= 2 and not any(row >= 10 for row in chosen)


def test_a_balanced_buffer_does_not_depend_on_order_or_stages():
    classes, digests = [str(i % 3) for i in range(40)], [f"row {i}" for i in range(40)]
    whole = {digests[i] for i in balanced(classes, digests, 4, seed=1)}
    assert len(whole) == 12
    first = balanced(classes[:20], digests[:20], 4, seed=1)
    later = [*first, *range(20, 40)]
    again = balanced([classes[i] for i in later], [digests[i] for i in later], 4, seed=1)
    assert {digests[later[i]] for i in again} == whole
    assert {digests[i] for i in balanced(classes, digests, 4, seed=2)} != whole


def test_herding_chooses_the_rows_whose_mean_is_nearest():
    angles = np.array([0.0, 0.1, 0.5, 0.9, 1.0, 2.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1) * np.array([[1], [2], [1], [3], [1], [1]])
    chosen = herding(vectors, 2, ["a"] * 5 + ["b"])
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = units[:5].mean(0)
    first = np.linalg.norm(units[:5] - mean, axis=1).argmin()
    pairs = [np.linalg.norm((units[first] + units[i]) / 2 - mean) if i != first else np.inf for i in range(5)]
    assert chosen == [first, int(np.argmin(pairs)), 5]
    assert herding(vectors, 1, ["a"] * 5 + ["b"]) == [first, 5]


@pytest.mark.parametrize("count", [0, 5, 13])
def test_kept_rows_are_repeated_evenly(count):
    counts = np.bincount(drawn(5, count, 1, 2), minlength=5)
    assert counts.sum() == count and counts.max() - counts.min() <= 1
    assert (drawn(5, count, 1, 2) == drawn(5, count, 1, 2)).all()
