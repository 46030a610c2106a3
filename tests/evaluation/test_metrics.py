"""Metrics against scikit-learn and SciPy, hand-computed cases, and properties that hold for any data."""

import json

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.errors import UserError
from kerasft.evaluation.calibration import reliability_bins
from kerasft.evaluation.metrics import decision_metrics, multi_label_metrics, regression_metrics, single_label_metrics
from kerasft.evaluation.scores import confused_pairs, confusion_matrix


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


def names(count):
    return [f"class {index}" for index in range(count)]


@pytest.mark.parametrize("rows,classes", [(500, 2), (700, 9), (60, 40)])
def test_single_label_agrees_with_scikit_learn(rows, classes):
    targets, probabilities = random_split(rows, classes)
    predictions = probabilities.argmax(axis=1)
    ours = single_label_metrics(targets, probabilities, names(classes))
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(targets, predictions))
    for average in ("macro", "micro", "weighted"):
        expected = reference.precision_recall_fscore_support(targets, predictions, average=average, zero_division=0)
        for name, value in zip(("precision", "recall", "f1"), expected):
            assert ours[f"{average}_{name}"] == pytest.approx(value), (average, name)
    rows_to_one = probabilities.astype(np.float64) / probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
    assert ours["log_loss"] == pytest.approx(reference.log_loss(targets, rows_to_one, labels=range(classes)), rel=1e-5)
    assert ours["confusion_matrix"] == reference.confusion_matrix(targets, predictions, labels=range(classes)).tolist()
    report = reference.classification_report(
        targets, predictions, labels=range(classes), output_dict=True, zero_division=0
    )
    for index, row in enumerate(ours["per_class"].values()):
        expected = report[str(index)]
        assert row["support"] == expected["support"]
        for ours_name, name in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert (row[ours_name] or 0) == pytest.approx(expected[name])
    json.loads(json.dumps(ours, allow_nan=False))


def test_single_label_by_hand():
    # truth a a b b, answers a b b b: precision a 1, b 2/3; recall a 1/2, b 1; F1 a 2/3, b 4/5
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    ours = single_label_metrics(np.array([0, 0, 1, 1]), probabilities, ["a", "b"])
    assert ours["accuracy"] == 0.75
    assert ours["per_class"]["a"] == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3, "support": 2})
    assert ours["per_class"]["b"] == pytest.approx({"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2})
    assert ours["macro_f1"] == pytest.approx((2 / 3 + 0.8) / 2)
    assert ours["log_loss"] == pytest.approx(-np.log([0.9, 0.2, 0.6, 0.7]).mean())
    assert ours["mean_confidence"] == pytest.approx(0.75)
    # bins of 1/15: 0.9 right, 0.8 wrong (0.8 = 12/15 closes bin 11), 0.6 right (9/15 closes bin 8), 0.7 right
    assert ours["expected_calibration_error"] == pytest.approx((0.1 + 0.8 + 0.4 + 0.3) / 4)
    assert [row["count"] for row in ours["reliability"]] == [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 1, 0]


def test_a_class_in_neither_truth_nor_prediction_is_left_out_of_macro_averages():
    targets, probabilities = random_split(200, 4)
    padded = np.hstack([probabilities, np.zeros((200, 3), np.float32)])
    ours, wider = (single_label_metrics(targets, p, names(p.shape[1])) for p in (probabilities, padded))
    assert wider["macro_f1"] == ours["macro_f1"] and wider["macro_recall"] == ours["macro_recall"]
    assert (ours["classes_averaged"], wider["classes_averaged"]) == (4, 4)
    assert wider["per_class"]["class 6"] == {"precision": None, "recall": None, "f1": None, "support": 0}


def test_a_class_predicted_but_never_true_counts_as_zero():
    probabilities = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    ours = single_label_metrics(np.array([0, 1, 1]), probabilities, names(3))
    assert ours["per_class"]["class 2"]["f1"] == 0.0
    assert ours["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert np.isfinite(ours["log_loss"])  # the last row gives the truth probability 0


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 10**6))
def test_order_of_rows_and_of_classes_does_not_matter(rows, classes, seed):
    targets, probabilities = random_split(rows, classes, seed)
    random = np.random.default_rng(seed)
    order, renamed = random.permutation(rows), random.permutation(classes)
    place = np.argsort(renamed)
    ours = single_label_metrics(targets, probabilities, names(classes))
    shuffled = single_label_metrics(
        place[targets[order]], probabilities[order][:, renamed], [names(classes)[index] for index in renamed]
    )
    for name in ("accuracy", "macro_f1", "weighted_precision", "log_loss", "expected_calibration_error"):
        assert shuffled[name] == pytest.approx(ours[name], rel=1e-5), name
    assert shuffled["per_class"] == ours["per_class"]


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=50))
def test_a_perfect_model_scores_one(targets):
    targets = np.array(targets)
    ours = single_label_metrics(targets, np.eye(5)[targets], names(5))
    for name in ("accuracy", "macro_f1", "micro_f1", "weighted_f1", "macro_precision", "macro_recall"):
        assert ours[name] == 1.0
    assert ours["expected_calibration_error"] == 0 and ours["log_loss"] == pytest.approx(0, abs=1e-12)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_reliability_bins_hold_every_row_once_and_inside_their_edges(rows):
    confidences, correct = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    bins = reliability_bins(confidences, correct)
    assert sum(row["count"] for row in bins) == len(rows)
    for row in bins:
        if row["count"]:
            assert row["low"] - 1e-9 <= row["confidence"] <= row["high"] + 1e-9
    assert sum(row["count"] * (row["accuracy"] or 0) for row in bins) == pytest.approx(correct.sum())


def test_probabilities_that_are_not_finite_name_the_fix():
    probabilities = np.full((3, 2), 0.5)
    probabilities[1, 0] = np.nan
    with pytest.raises(UserError, match="1 of 3 rows.*learning_rate"):
        single_label_metrics(np.zeros(3, int), probabilities, names(2))
    with pytest.raises(UserError, match="1 of 2 rows have predictions"):
        regression_metrics(np.zeros(2), np.array([0.0, np.inf]))


@pytest.mark.parametrize(
    "targets,probabilities",
    [
        (np.array([2, 0]), np.full((2, 2), 0.5)),
        (np.array([0]), np.full((2, 2), 0.5)),
        (np.zeros(0, int), np.zeros((0, 2))),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(targets, probabilities):
    with pytest.raises(ValueError):
        single_label_metrics(targets, probabilities, names(2))


def test_multi_label_agrees_with_scikit_learn():
    targets, probabilities = random_multi(400, 6)
    thresholds = np.linspace(0.3, 0.6, 6)
    predictions = probabilities >= thresholds
    ours = multi_label_metrics(targets, probabilities, names(6), thresholds)
    for average in ("macro", "micro", "weighted"):
        expected = reference.precision_recall_fscore_support(targets, predictions, average=average, zero_division=0)
        for name, value in zip(("precision", "recall", "f1"), expected):
            assert ours[f"{average}_{name}"] == pytest.approx(value), (average, name)
    for average in ("macro", "micro"):
        expected = reference.average_precision_score(targets, probabilities, average=average)
        assert ours[f"{average}_average_precision"] == pytest.approx(expected)
    assert ours["subset_accuracy"] == pytest.approx(reference.accuracy_score(targets, predictions))
    expected = np.mean([reference.log_loss(targets[:, k], probabilities[:, k], labels=[0, 1]) for k in range(6)])
    assert ours["log_loss"] == pytest.approx(expected)
    assert [row["threshold"] for row in ours["per_class"].values()] == pytest.approx(thresholds)
    json.loads(json.dumps(ours, allow_nan=False))


def test_multi_label_without_any_positive_is_none_not_nan():
    ours = multi_label_metrics(np.zeros((4, 2), int), np.full((4, 2), 0.1), names(2), np.full(2, 0.5))
    assert ours["macro_f1"] is None and ours["micro_average_precision"] is None and ours["weighted_f1"] is None
    assert ours["subset_accuracy"] == 1.0
    json.dumps(ours, allow_nan=False)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=3, max_size=40))
def test_regression_agrees_with_scipy(rows):
    targets, predictions = np.array(rows).round(3).T
    ours = regression_metrics(targets, predictions)
    assert ours["rmse"] == pytest.approx(reference.mean_squared_error(targets, predictions) ** 0.5)
    assert ours["mae"] == pytest.approx(reference.mean_absolute_error(targets, predictions))
    if np.ptp(targets) and np.ptp(predictions):
        assert ours["pearson"] == pytest.approx(scipy.stats.pearsonr(targets, predictions)[0], abs=1e-6)
        assert ours["spearman"] == pytest.approx(scipy.stats.spearmanr(targets, predictions)[0], abs=1e-6)
    else:
        assert ours["pearson"] is None and ours["spearman"] is None


def test_many_classes_have_the_pairs_that_occur_instead_of_a_matrix():
    labels = [f"c{number}" for number in range(5000)]
    targets = np.array([0, 0, 0, 1, 2, 4999])
    metrics = decision_metrics(targets, np.array([0, 3, 3, 3, 2, 0]), labels)
    assert "confusion_matrix" not in metrics and metrics["confused_pairs_in_all"] == 3
    assert metrics["confused_pairs"] == [
        {"true": "c0", "predicted": "c3", "count": 2},
        {"true": "c1", "predicted": "c3", "count": 1},
        {"true": "c4999", "predicted": "c0", "count": 1},
    ]
    assert len(metrics["per_class"]) == 5000 and len(json.dumps(metrics)) < 500_000


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_pairs_and_matrix_say_the_same(rows):
    targets, predictions = np.array(rows).T
    matrix = confusion_matrix(targets, predictions, 5)
    pairs = list(zip(*(values.tolist() for values in confused_pairs(targets, predictions))))
    assert {(a, b): count for a, b, count in pairs} == {
        (a, b): matrix[a, b] for a in range(5) for b in range(5) if a != b and matrix[a, b]
    }
    assert [count for _, _, count in pairs] == sorted((count for _, _, count in pairs), reverse=True)
