"""The threshold for none of the labels, and scores at each level of labels that are paths."""

import numpy as np
import pytest

from kerasft.evaluation.levels import level_scores, parents
from kerasft.evaluation.out_of_scope import choose_threshold, out_of_scope_scores

CONFIDENCES = np.array([0.9, 0.8, 0.6, 0.5, 0.7, 0.3, 0.55, 0.2], np.float32)
RIGHT = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)
INSIDE = np.array([1, 1, 1, 1, 1, 0, 0, 0], bool)


def figures(threshold):
    kept = CONFIDENCES >= np.float32(threshold)
    return (RIGHT & kept)[INSIDE].mean(), (~kept)[~INSIDE].mean()


def test_balanced_takes_the_best_mean():
    threshold = choose_threshold(CONFIDENCES, RIGHT, INSIDE, None)
    # at 0.575: accuracy 3/5, recall 1 -> 1.6; at 0.4: accuracy 4/5, recall 2/3 -> 1.47
    assert threshold == pytest.approx(0.575) and figures(threshold) == (0.6, 1.0)
    assert all(sum(figures(other)) <= sum(figures(threshold)) + 1e-12 for other in np.linspace(0, 1, 101))


@pytest.mark.parametrize(("loss", "threshold"), [(0.0, 0.4), (0.2, 0.575), (0.39, 0.575), (0.4, 0.75)])
def test_the_highest_threshold_that_costs_no_more_than_allowed(loss, threshold):
    found = choose_threshold(CONFIDENCES, RIGHT, INSIDE, loss)
    assert figures(found)[0] >= 0.8 - loss - 1e-9
    assert figures(found) == figures(threshold)


def test_rows_that_are_out_of_scope_anyway_are_so_at_threshold_zero():
    confidences = np.array([0.9, -1, -1], np.float32)
    found = choose_threshold(confidences, np.array([1, 0, 0], bool), np.array([1, 0, 0], bool), None)
    assert found == 0.0
    alone = choose_threshold(np.array([-1.0], np.float32), np.zeros(1, bool), np.ones(1, bool), 0.0)
    assert alone == 0.0


def test_a_threshold_is_a_float32_between_two_confidences():
    random = np.random.default_rng(0)
    confidences = random.random(500).astype(np.float32)
    found = choose_threshold(confidences, random.random(500) < 0.8, random.random(500) < 0.5, None)
    assert np.float32(found) == found and found not in confidences.tolist()


def test_scores_after_the_threshold():
    found = out_of_scope_scores(np.array([0, 1, 1, 2, 2]), np.array([0, 2, 1, 2, 0]), outside=2)
    assert found == pytest.approx(
        {"in_scope_accuracy": 2 / 3, "out_of_scope_recall": 1 / 2, "out_of_scope_precision": 1 / 2}
    )
    none = out_of_scope_scores(np.array([0, 1]), np.array([0, 1]), outside=2)
    assert none == {"in_scope_accuracy": 1.0, "out_of_scope_recall": None, "out_of_scope_precision": None}


LABELS = ["travel/flight/delay", "travel/flight/price", "travel/hotel", "food", "food/price"]


def test_parents_sum_what_lies_at_and_below_them():
    names, below = parents(LABELS, "/")
    assert names == ["food", "travel", "travel/flight"]
    np.testing.assert_array_equal(below.T, [[0, 0, 0, 1, 1], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]])
    assert parents(["a", "b"], "/")[1].shape == (2, 0)


def test_names_that_only_begin_alike_are_no_parents():
    names, below = parents(["a/b", "ab/c"], "/")
    assert names == ["a", "ab"] and below.tolist() == [[1, 0], [0, 1]]


def test_scores_at_each_level():
    found = level_scores(np.array([0, 1, 2, 3, 4]), np.array([1, 2, 2, 4, 0]), LABELS, "/")
    assert [(row["depth"], row["classes"]) for row in found] == [(1, 2), (2, 4), (3, 5)]
    assert [row["accuracy"] for row in found] == [4 / 5, 2 / 5, 1 / 5]
    # depth 1: travel 3 right, predicted 4, true 3 -> 6/7; food 1 right, predicted 1, true 2 -> 2/3
    assert found[0]["macro_f1"] == pytest.approx((6 / 7 + 2 / 3) / 2)
