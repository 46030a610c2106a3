"""Tuned thresholds against every threshold there is, ties, rare classes, and their speed."""

import time

import numpy as np
import pytest
import sklearn.metrics as reference

from kerasft.evaluation.thresholds import tune_thresholds


def random_multi(rows, classes, seed=0):
    random = np.random.default_rng(seed)
    targets = random.random((rows, classes)) < np.linspace(0.02, 0.4, classes)
    return targets.astype(np.int32), np.clip(0.4 * targets + 0.6 * random.random((rows, classes)), 0, 1)


def test_tuned_thresholds_are_the_best_there_are():
    targets, probabilities = random_multi(120, 8, seed=3)
    tuned = tune_thresholds(targets, probabilities)
    for index in np.flatnonzero(targets.sum(axis=0) >= 5):
        scores = probabilities[:, index].astype(np.float32)
        best = max(reference.f1_score(targets[:, index], scores >= cut) for cut in scores)
        assert reference.f1_score(targets[:, index], scores >= tuned[index]) == pytest.approx(best)
    assert (tuned == tuned.astype(np.float32)).all()


def test_tuned_threshold_lies_halfway_and_respects_ties():
    scores = np.array([[0.9], [0.8], [0.8], [0.7], [0.6], [0.3], [0.1]])
    targets = np.array([[1], [1], [1], [1], [1], [0], [0]])
    assert tune_thresholds(targets, scores) == pytest.approx([0.45])
    tied = np.full((10, 1), 0.25)
    assert tune_thresholds(np.array([[1]] * 5 + [[0]] * 5), tied) == pytest.approx([0.125])
    neighbours = np.array([[np.nextafter(np.float32(0.5), np.float32(1))]] * 5 + [[np.float32(0.5)]] * 5)
    tuned = tune_thresholds(np.array([[1]] * 5 + [[0]] * 5), neighbours)
    assert (neighbours >= tuned).ravel().tolist() == [True] * 5 + [False] * 5


def test_classes_with_few_positives_take_the_shared_threshold():
    targets, probabilities = random_multi(100, 3, seed=1)
    targets[:, 0] = 0
    targets[:4, 1] = [1, 1, 1, 1]
    targets[4:, 1] = 0
    tuned = tune_thresholds(targets, probabilities)
    flat = probabilities.astype(np.float32).ravel()
    best = max(reference.f1_score(targets.ravel(), flat >= cut) for cut in np.unique(flat))
    assert tuned[0] == tuned[1]
    assert reference.f1_score(targets.ravel(), flat >= tuned[0]) == pytest.approx(best)
    assert tune_thresholds(np.zeros((5, 2)), np.full((5, 2), 0.3)).tolist() == [0.5, 0.5]


def test_thresholds_of_28_classes_and_5426_rows_are_quick():
    targets, probabilities = random_multi(5426, 28)
    start = time.perf_counter()
    tune_thresholds(targets, probabilities)
    assert time.perf_counter() - start < 2
