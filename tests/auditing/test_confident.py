"""Confident learning finds what cleanlab finds, row for row; what is believed goes by how classes are mistaken."""

import warnings

import numpy as np
import pytest
from cleanlab.filter import find_label_issues

from kerasft.auditing.confident import label_issues
from kerasft.auditing.neighbours import nearest_rows, word_weights
from kerasft.auditing.transitions import shared_probabilities, true_probabilities


def matrix(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, some of them wrong, and probabilities; a class that no row has, and ties, in some."""
    draw = np.random.default_rng(seed)
    rows, classes = int(draw.integers(20, 800)), int(draw.integers(2, 12))
    given = draw.integers(0, classes, rows)
    if seed % 3 == 0:
        given[given == classes - 1] = 0
    logits = draw.normal(size=(rows, classes)) * draw.uniform(0.5, 3)
    logits[np.arange(rows), given] += draw.uniform(0, 3)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(1, keepdims=True)
    if seed % 5 == 0:
        probabilities = np.maximum(probabilities.round(1), 0.01)
        probabilities /= probabilities.sum(1, keepdims=True)
    return given, probabilities


@pytest.mark.parametrize("seed", range(60))
def test_issues_are_those_of_cleanlab(seed):
    given, probabilities = matrix(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with few rows
        theirs = find_label_issues(given, probabilities, n_jobs=1)
    assert (label_issues(given, probabilities) == theirs).all()


def test_a_class_that_is_often_given_for_another_is_doubted_more():
    """A third of class 1 is called 0, and no 0 is called 1: of two even rows, the one that is called 0 is doubted."""
    draw = np.random.default_rng(0)
    true = np.repeat([0, 1], 300)
    given = np.where((true == 1) & (draw.random(600) < 1 / 3), 0, true)
    probabilities = np.where(true[:, None] == 0, [0.97, 0.03], [0.35, 0.65]) + draw.normal(0, 0.01, (600, 1)) * [1, -1]
    believed = true_probabilities(given, probabilities)
    wrong = given != true
    assert believed[wrong, 0].max() < believed[~wrong & (given == 0), 0].min()
    assert believed[given == 1, 1].min() > 0.9
    assert believed.sum(1) == pytest.approx(1.0)


def test_neighbours_are_the_nearest_rows_that_are_no_copies():
    vectors = np.array([[1, 0], [1, 0.01], [1, 0.02], [0, 1], [0.01, 1], [0.02, 1]], np.float32)
    sets = np.eye(2)[[0, 0, 1, 1, 1, 1]]
    texts = [""] * 6
    apart = nearest_rows(vectors, texts, sets, np.arange(6), 1)
    assert apart.shares.argmax(1).tolist() == [0, 0, 0, 1, 1, 1]
    copies = nearest_rows(vectors, texts, sets, np.array([0, 0, 1, 2, 3, 4]), 1)
    assert copies.shares[0].tolist() == [0.0, 1.0], "its own copy does not count"
    assert nearest_rows(vectors, texts, sets, np.zeros(6, int), 3) is None


def test_words_bring_rows_together_that_vectors_do_not_tell_apart():
    vectors = np.random.default_rng(0).normal(size=(12, 64)).astype(np.float32)
    texts = ["card lost", "card lost", "refund late", "refund late"] * 3
    near = nearest_rows(vectors, texts, np.eye(2)[[0, 0, 1, 1] * 3], np.arange(12), 4)
    assert near.shares[0, 0] > 0.9 and near.shares[2, 1] > 0.9
    for script in (["我的卡丢了", "卡在哪里", "退款很慢", "退款呢"] * 3, ["?!", "", "..."] * 4):
        words = word_weights(script)
        assert words is None if "" in script else (words @ words.T)[0, 4] == pytest.approx(1.0)


def test_a_row_among_wrong_labels_is_judged_by_what_its_neighbours_are():
    """Half of class 1 is called 0; whoever counts given labels of neighbours sees a draw there."""
    draw = np.random.default_rng(0)
    true = np.repeat([0, 1], 300)
    vectors = (np.array([[1.0, 0.3], [-1.0, 0.3]])[true] + draw.normal(0, 0.3, (600, 2))).astype(np.float32)
    given = np.where((true == 1) & (draw.random(600) < 0.45), 0, true)
    near = nearest_rows(vectors, [""] * 600, np.eye(2)[given], np.arange(600), 20)
    first = true_probabilities(given, near.shares)
    shared = shared_probabilities(given, first, near)
    rows, wrong = np.arange(600), given != true
    assert shared.sum(1) == pytest.approx(1.0)
    called = given == 0
    errors = [((1 - each[rows, given])[called & wrong].mean(), (1 - each[rows, given])[called & ~wrong].mean())
              for each in (first, shared)]  # fmt: skip
    assert errors[1][0] - errors[1][1] > errors[0][0] - errors[0][1]
