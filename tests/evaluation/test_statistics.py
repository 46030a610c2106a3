"""Intervals and tests against the libraries that people know them from."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from kerasft.evaluation.intervals import bootstrap_interval
from kerasft.evaluation.statistics import auroc, fisher, holm, mcnemar, share, wilson_interval


@pytest.mark.parametrize(("hits", "rows"), [(0, 7), (3, 9), (60, 61), (500, 1000)])
def test_wilson_and_mcnemar_are_scipys(hits, rows):
    interval = binomtest(hits, rows).proportion_ci(method="wilson")
    assert wilson_interval(hits, rows) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert mcnemar(hits, rows - hits) == pytest.approx(binomtest(hits, rows, 0.5).pvalue, abs=1e-12)


def test_of_nothing_nothing_is_known():
    assert share(0, 0) == {"value": None, "low": 0.0, "high": 1.0, "rows": 0}
    assert mcnemar(0, 0) == 1.0 and auroc(np.array([]), np.array([1.0])) is None


def test_holm_is_what_the_paper_does_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


def test_auroc_is_scikit_learns_with_ties():
    random = np.random.default_rng(0)
    positive, negative = random.integers(0, 5, 30).astype(float), random.integers(0, 4, 50).astype(float)
    truth = np.r_[np.ones(30), np.zeros(50)]
    assert auroc(positive, negative) == pytest.approx(roc_auc_score(truth, np.r_[positive, negative]), abs=1e-12)


def test_the_bootstrap_interval_of_a_mean_is_scipys():
    from scipy.stats import bootstrap

    values = np.random.default_rng(0).normal(size=200)
    found = bootstrap_interval(lambda sample: float(sample.mean()), values, seed=1, resamples=4000)
    theirs = bootstrap((values,), np.mean, n_resamples=4000, method="percentile", random_state=2).confidence_interval
    assert (found["low"], found["high"]) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_fishers_test_of_equal_parts_says_nothing():
    assert fisher(5, 10, 5, 10) == pytest.approx(1.0) and fisher(0, 20, 20, 20) < 1e-9
