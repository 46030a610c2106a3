"""A head for few rows, and what it says of rows that it has not seen."""

import numpy as np
import pytest

from kerasft.training import fitted_head
from kerasft.training.few_rows_head import PENALTIES, few_rows_head, left_out_logits
from kerasft.training.fitted_head import logistic_regression
from kerasft.training.self_training import self_trained


def rows_of(classes: int, rows: int = 60, width: int = 6):
    random = np.random.default_rng(classes)
    labels = np.arange(rows) % classes
    means = 1.5 * random.normal(size=(classes, width))
    return (means[labels] + random.normal(size=(rows, width))).astype(np.float32), labels


def softmax(logits):
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def by_loop(vectors, labels, weights, classes, penalty):
    """Left-out logits of heads that are fitted anew, one for each row; the scale of vectors is that of all rows."""
    answers = []
    for row in range(len(labels)):
        others = np.where(np.arange(len(labels)) == row, 0.0, weights).astype(np.float32)
        kernel, bias = logistic_regression(vectors, labels, others, classes, penalty)
        answers.append(vectors[row] @ kernel + bias)
    return np.asarray(answers)


@pytest.mark.parametrize("classes, close", [(2, 0.02), (4, 0.12)])
def test_what_the_formula_says_of_left_out_rows_is_what_a_loop_says(classes, close, monkeypatch):
    monkeypatch.setattr(fitted_head, "ITERATIONS", 500)
    vectors, labels = rows_of(classes)
    weights = np.ones(60, np.float32)
    kernel, bias = logistic_regression(vectors, labels, weights, classes, 0.03)
    formula = softmax(left_out_logits(vectors, labels, weights, kernel, bias, 0.03))
    loop, seen = softmax(by_loop(vectors, labels, weights, classes, 0.03)), softmax(vectors @ kernel + bias)
    truth = np.arange(60), labels
    assert np.abs(formula[truth] - loop[truth]).max() < close
    # what the head says of rows that it has seen is further from that, so the formula is worth something
    assert np.abs(formula[truth] - loop[truth]).mean() < 0.3 * np.abs(seen[truth] - loop[truth]).mean()


def test_the_penalty_is_the_one_that_left_out_rows_speak_for():
    vectors, labels = rows_of(4)
    noise = np.random.default_rng(1).integers(0, 4, 60)
    weights = np.ones(60, np.float32)
    plain, hopeless = few_rows_head(vectors, labels, weights, 4), few_rows_head(vectors, noise, weights, 4)
    assert hopeless.penalty == max(PENALTIES)  # of labels that mean nothing, as little as possible is believed
    assert plain.penalty < hopeless.penalty
    assert (plain.left_out.argmax(1) == labels).mean() > 0.8
    assert (hopeless.left_out.argmax(1) == noise).mean() < 0.45


def test_rows_without_weight_teach_nothing():
    vectors, labels = rows_of(3)
    weights = np.where(np.arange(60) < 48, 1.0, 0.0).astype(np.float32)
    whole, part = few_rows_head(vectors, labels, weights, 3), few_rows_head(vectors[:48], labels[:48], weights[:48], 3)
    np.testing.assert_allclose(whole.kernel, part.kernel, atol=1e-5)
    np.testing.assert_allclose(whole.left_out[:48], part.left_out, atol=1e-4)
    np.testing.assert_allclose(whole.left_out[48:], vectors[48:] @ whole.kernel + whole.bias, atol=1e-4)


def test_a_head_is_held_to_what_is_known_before_any_row_as_far_as_left_out_rows_want_it():
    vectors, labels = rows_of(4)
    weights = np.ones(60, np.float32)
    far = np.stack([vectors[labels == label].mean(0) for label in range(4)], axis=1)  # (width, classes), and useful
    held, against = (few_rows_head(vectors[:8], labels[:8], weights[:8], 4, toward) for toward in (far, -9 * far))
    assert held.toward is not None and against.toward is None
    rest = vectors[8:], labels[8:]
    plain = few_rows_head(vectors[:8], labels[:8], weights[:8], 4)
    right = [((rest[0] @ head.kernel + head.bias).argmax(1) == rest[1]).mean() for head in (held, plain)]
    assert right[0] > right[1]
    np.testing.assert_array_equal(against.kernel, plain.kernel)
    kernel, _ = logistic_regression(vectors, labels, weights, 4, 1e6, far)
    np.testing.assert_allclose(kernel, far, atol=1e-3)  # held by so much, it stays where it was


def test_a_head_learns_from_its_own_answers():
    vectors, labels = rows_of(4, rows=200)
    weights = np.ones(8, np.float32)
    head = few_rows_head(vectors[:8], labels[:8], weights, 4)
    known = vectors[:8], labels[:8], weights
    before, after = (
        self_trained(known, vectors[8:], (head.kernel, head.bias), head.penalty, None, rounds, 2.0) for rounds in (0, 4)
    )
    right = [((vectors[8:] @ kernel + bias).argmax(1) == labels[8:]).mean() for kernel, bias in (before, after)]
    assert right[1] > right[0]
    # shares of 0 and 1 are labels
    one = logistic_regression(vectors, labels, np.ones(200, np.float32), 4)
    two = logistic_regression(vectors, np.eye(4, dtype=np.float32)[labels], np.ones(200, np.float32), 4)
    np.testing.assert_allclose(one[0], two[0], atol=1e-4)
