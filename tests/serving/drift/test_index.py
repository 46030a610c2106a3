"""Chance seldom looks like drift, whatever the bins and sizes; a shift does not look like chance."""

import numpy as np
import pytest

from kerasft.serving.drift.index import Distribution, Window, by_chance, look, stability_index
from kerasft.serving.drift.measures import Bins

THRESHOLD = 0.25


def long_tail(bins, power):
    shares = 1 / np.arange(1, bins + 1) ** power
    return shares / shares.sum()


# Two labels of which one is rare, confidence, the intents of banking77 and clinc150, a long tail, almost one bin.
SHARES = {
    "two": np.array([0.97, 0.03]),
    "confidence": long_tail(13, 1.5),
    "77 labels": np.full(79, 1 / 79),
    "150 labels": np.full(152, 1 / 152),
    "long tail": long_tail(202, 1.2),
    "one peak": np.append(0.995, np.full(12, 0.005 / 12)),
}


def distribution(counts, rows=None):
    bins = Bins(edges=tuple(range(len(counts) - 1)))
    return Distribution(bins, tuple(int(count) for count in counts), int(rows or sum(counts)))


@pytest.mark.parametrize("known", [100, 3000])
@pytest.mark.parametrize("name", SHARES)
def test_samples_of_one_distribution_do_not_drift(name, known):
    shares, random = SHARES[name], np.random.default_rng(0)
    by_chance_alone = 0
    for _ in range(40):
        reference = distribution(random.multinomial(known, shares))
        for rows in (200, 1000):
            counts = random.multinomial(rows, shares)
            found = look(reference, counts, rows, THRESHOLD)
            assert found.index <= found.bound
            bare = look(reference, counts, rows, threshold=1e-9)
            by_chance_alone += bare.index > bare.bound
    assert by_chance_alone <= 1  # of 80


@pytest.mark.parametrize("name", ["confidence", "77 labels", "150 labels", "long tail"])
def test_a_shift_is_seen(name):
    """Three tenths of the rows are of one bin from now on."""
    shares, random = SHARES[name], np.random.default_rng(0)
    reference = distribution(random.multinomial(2000, shares))
    shifted = 0.7 * shares
    shifted[-1] += 0.3
    for _ in range(20):
        found = look(reference, random.multinomial(1000, shifted), 1000, THRESHOLD)
        assert found.index > found.bound


def test_a_calm_window_ends_a_drift_and_a_borderline_one_does_not():
    shares = SHARES["confidence"]
    found = look(distribution(shares * 3000), (shares * 1000).astype(int), 1000, THRESHOLD)
    assert found.index < found.calm < found.bound == THRESHOLD


def test_the_index_is_the_sum_of_its_definition():
    counts, others = np.array([10, 30, 60]), np.array([20, 20, 160])
    p, q = (counts + 0.5) / 101.5, (others + 0.5) / 201.5
    assert stability_index(counts, others) == pytest.approx(sum((p - q) * np.log(p / q)))
    assert stability_index(counts, counts) == 0
    assert np.isfinite(stability_index(np.array([0, 9]), np.array([9, 0])))


def test_what_chance_gives_is_what_is_known_of_many_rows():
    """(bins - 1)(1/n + 1/m), the mean of Yurdakul 2018."""
    mean, _ = by_chance(distribution(np.full(20, 1000)), np.full(20, 500), 10_000)
    assert mean == pytest.approx(19 * (1 / 20_000 + 1 / 10_000), rel=0.1)


def test_many_labels_of_few_rows_count_as_few():
    few, many = (by_chance(distribution(np.full(5, 1000), rows), np.full(5, 1000), rows)[0] for rows in (100, 5000))
    assert few > 10 * many


def test_a_window_holds_the_newest_rows():
    window, random = Window(4, 10), np.random.default_rng(0)
    rows = [tuple(random.integers(0, 4, random.integers(0, 4)).tolist()) for _ in range(57)]
    for start in range(0, 57, 5):
        window.add(rows[start : start + 5])
    assert len(window) == 10
    assert window.counts.tolist() == np.bincount(sum(rows[-10:], ()), minlength=4).tolist()
