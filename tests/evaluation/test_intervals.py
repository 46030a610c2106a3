"""Bootstrap intervals: against the normal approximation, undefined resamples, and their speed."""

import time

import numpy as np
import pytest

from kerasft.evaluation.intervals import bootstrap_interval
from kerasft.evaluation.metrics import multi_label_metrics, single_label_metrics
from kerasft.evaluation.scores import macro_f1, multi_label_macro_f1, pearson


def random_split(rows, classes, seed=0, temperature=2.0):
    random = np.random.default_rng(seed)
    targets = random.integers(0, classes, rows)
    logits = random.normal(size=(rows, classes)) * temperature
    logits[np.arange(rows), targets] += 2
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return targets, (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def random_multi(rows, classes, seed=0):
    random = np.random.default_rng(seed)
    targets = random.random((rows, classes)) < np.linspace(0.02, 0.4, classes)
    return targets.astype(np.int32), np.clip(0.4 * targets + 0.6 * random.random((rows, classes)), 0, 1)


def accuracy(targets, predictions):
    return (targets == predictions).mean()


def test_interval_of_accuracy_agrees_with_the_normal_approximation():
    random = np.random.default_rng(0)
    targets = np.zeros(2000, int)
    predictions = (random.random(2000) > 0.9).astype(int)
    share = accuracy(targets, predictions)
    interval = bootstrap_interval(accuracy, targets, predictions, seed=1, resamples=2000)
    spread = 1.96 * (share * (1 - share) / 2000) ** 0.5
    assert interval["low"] == pytest.approx(share - spread, abs=0.003)
    assert interval["high"] == pytest.approx(share + spread, abs=0.003)
    assert interval["resamples"] == 2000 and interval["level"] == 0.95
    assert interval == bootstrap_interval(accuracy, targets, predictions, seed=1, resamples=2000)
    wider = bootstrap_interval(accuracy, targets, predictions, seed=1, resamples=2000, level=0.99)
    assert wider["low"] < interval["low"] and wider["high"] > interval["high"]


def test_interval_draws_the_same_rows_from_all_arrays():
    values = np.arange(50.0)
    interval = bootstrap_interval(lambda a, b: float(np.abs(a - b).max()), values, values, seed=0, resamples=50)
    assert interval["low"] == interval["high"] == 0


def test_undefined_resamples_are_left_out():
    constant = bootstrap_interval(pearson, np.ones(5), np.arange(5.0), seed=0, resamples=20)
    assert (constant["low"], constant["high"], constant["resamples"]) == (None, None, 0)
    some = bootstrap_interval(pearson, np.array([0.0, 1]), np.array([0.0, 1]), seed=0, resamples=100)
    assert 0 < some["resamples"] < 100 and some["low"] == pytest.approx(1)


def test_quick_statistics_equal_the_metrics_they_stand_for():
    targets, probabilities = random_split(300, 12)
    ours = single_label_metrics(targets, probabilities, [f"class {index}" for index in range(12)])
    assert macro_f1(targets, probabilities.argmax(axis=1)) == pytest.approx(ours["macro_f1"])
    targets, probabilities = random_multi(200, 5)
    ours = multi_label_metrics(targets, probabilities, list("abcde"), np.full(5, 0.5))
    assert multi_label_macro_f1(targets, probabilities >= 0.5) == pytest.approx(ours["macro_f1"])


@pytest.mark.parametrize("statistic", [accuracy, macro_f1])
def test_a_thousand_resamples_of_banking77_size_are_quick(statistic):
    targets, probabilities = random_split(3080, 77)
    start = time.perf_counter()
    bootstrap_interval(statistic, targets, probabilities.argmax(axis=1), seed=0)
    assert time.perf_counter() - start < 3  # 0.2 s on an idle core; the bound leaves room for a busy machine
