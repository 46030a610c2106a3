"""The official score of SemEval-2010 Task 8 on cases computed by hand."""

import numpy as np
import pytest

from kerasft.evaluation.relations import relation_f1, relation_scores

LABELS = ["Cause(e1,e2)", "Cause(e2,e1)", "Part(e1,e2)", "Part(e2,e1)", "Other"]
RELATION_OF, RELATIONS = np.array([0, 0, 1, 1, -1]), ["Cause", "Part"]


def scores(truth, predicted):
    return relation_scores(np.array(truth), np.array(predicted), RELATION_OF, RELATIONS)


def test_a_wrong_direction_is_a_false_positive_and_a_false_negative():
    # Cause: 2 right, predicted 2 + 1 in the wrong direction + 1 that is Part -> 2/4; true 3 -> 2/3; F1 4/7.
    # Part: 1 right of 1 predicted; true 3 (one called Cause, one called Other) -> 1/3; F1 1/2.
    found = scores([0, 0, 1, 2, 3, 2, 4], [0, 0, 0, 1, 3, 4, 4])
    cause, part = found["per_relation"]["Cause"], found["per_relation"]["Part"]
    assert cause == pytest.approx({"precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7, "support": 3})
    assert part == pytest.approx({"precision": 1.0, "recall": 1 / 3, "f1": 1 / 2, "support": 3})
    assert found["f1"] == pytest.approx((4 / 7 + 1 / 2) / 2)
    assert found["precision"] == pytest.approx(3 / 4) and found["recall"] == pytest.approx(1 / 2)


def test_other_counts_only_as_a_wrong_prediction():
    assert scores([4, 4, 0, 2], [4, 4, 0, 2])["f1"] == scores([4, 0, 2], [4, 0, 2])["f1"] == 1.0
    assert scores([4, 0, 2], [0, 0, 2])["f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores([4, 0], [4, 4])["f1"] == 0.0


def test_the_mean_runs_over_the_relations_that_are_true_somewhere():
    found = scores([0, 0, 4], [0, 2, 4])  # Part is predicted once but never true
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["per_relation"]["Part"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert scores([4], [0])["f1"] is None


def test_the_quick_form_for_the_bootstrap_agrees():
    random = np.random.default_rng(0)
    for _ in range(50):
        truth, predicted = random.integers(0, 5, (2, 40))
        assert relation_f1(truth, predicted, RELATION_OF, 2) == scores(truth, predicted)["f1"]
    assert np.isnan(relation_f1(np.array([4]), np.array([0]), RELATION_OF, 2))
