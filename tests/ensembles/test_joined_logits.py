"""Probabilities of several models become those of one: against NumPy by hand."""

import numpy as np
import pytest
import tensorflow as tf

from kerasft.ensembles.combined import mixture_weights
from kerasft.ensembles.plan import fold_numbers
from kerasft.models.heads import joined_logits as joined


def softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis, keepdims=True))
    return shares / shares.sum(axis, keepdims=True)


@pytest.fixture
def members() -> list[np.ndarray]:
    return [np.random.default_rng(seed).normal(size=(5, 3, 4)).astype(np.float32) * 3 for seed in range(3)]


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("shares", [[1 / 3] * 3, [0.2, 0.5, 0.3]])
def test_classes_have_the_mean_of_probabilities(members, axis, shares):
    logits = joined.of_classes([tf.constant(each) for each in members], shares, axis).numpy()
    mean = sum(share * softmax(each, axis) for share, each in zip(shares, members))
    np.testing.assert_allclose(softmax(logits, axis), mean, rtol=1e-5, atol=1e-7)
    assert not np.allclose(softmax(sum(members) / 3, axis), mean, atol=1e-2)  # the mean of logits is another thing


def test_labels_and_numbers_have_theirs(members):
    flat = [each[:, 0] for each in members]
    shares = [0.2, 0.5, 0.3]
    logits = joined.of_labels([tf.constant(each) for each in flat], shares).numpy()
    mean = sum(share / (1 + np.exp(-each)) for share, each in zip(shares, flat))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), mean, rtol=1e-5)
    numbers = joined.of_scores([tf.constant(each[:, :1]) for each in flat], shares).numpy()
    np.testing.assert_allclose(numbers, sum(s * each[:, :1] for s, each in zip(shares, flat)), rtol=1e-5)


def test_copies_are_the_model_itself_and_agree(members):
    copies, shares = [tf.constant(members[0])] * 3, [1 / 3] * 3
    for function in (joined.of_classes, joined.of_labels, joined.of_scores):
        np.testing.assert_allclose(function(copies, shares).numpy(), members[0], rtol=1e-5, atol=1e-5)
    for one_of_many in (True, False):
        np.testing.assert_allclose(joined.disagreement(copies, shares, one_of_many), 0, atol=1e-6)
    np.testing.assert_allclose(joined.spread([tf.constant(members[0][:, 0])] * 3, shares), 0, atol=1e-3)


def test_votes_are_counted_and_a_tie_goes_to_the_mean():
    sure, other, weak = [4.0, 0.0, 0.0], [0.0, 1.0, 0.9], [0.0, 1.2, 1.0]
    rows = [tf.constant([each]) for each in (sure, other, weak)]
    assert np.argmax(joined.votes_of_classes(rows, [1 / 3] * 3)) == 1  # two votes of three
    assert np.argmax(joined.of_classes(rows, [1 / 3] * 3)) == 0  # though the mean is another's
    assert np.argmax(joined.votes_of_classes(rows[:2], [0.5, 0.5])) == 0


def test_disagreement_is_the_entropy_between_members():
    certain = [tf.constant([[20.0, -20.0]]), tf.constant([[-20.0, 20.0]])]
    np.testing.assert_allclose(joined.disagreement(certain, [0.5, 0.5], True), [np.log(2)], rtol=1e-5)
    unsure = [tf.constant([[0.0, 0.0]])] * 2  # not sure, but of one opinion
    np.testing.assert_allclose(joined.disagreement(unsure, [0.5, 0.5], True), [0.0], atol=1e-7)
    np.testing.assert_allclose(joined.spread([tf.constant([[1.0]]), tf.constant([[3.0]])], [0.5, 0.5]), [1.0])


def test_shares_are_those_by_which_the_truth_is_likeliest():
    truth = np.random.default_rng(0).uniform(0.05, 0.95, size=(400, 3))
    truth[:, 0] = np.minimum(truth[:, 0] + 0.3, 0.99)  # the best member

    def likelihood(weights) -> float:
        return float(np.log(truth @ np.asarray(weights)).mean())

    weights = mixture_weights(truth)
    assert sum(weights) == pytest.approx(1) and weights[0] == max(weights)
    rivals = np.random.default_rng(1).dirichlet([1, 1, 1], 300)
    assert all(likelihood(weights) >= likelihood(rival) - 1e-6 for rival in rivals)
    assert mixture_weights(np.array([[0.9, 0.1]] * 5))[0] > 0.99


def test_folds_are_even_and_each_has_its_part_of_every_group():
    groups = np.repeat([0, 1, 2], [40, 15, 5])
    numbers = fold_numbers(60, groups, 5, seed=3)
    assert np.bincount(numbers).tolist() == [12] * 5
    for group in range(3):
        counts = np.bincount(numbers[groups == group], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert (numbers == fold_numbers(60, groups, 5, seed=3)).all()
    assert np.bincount(fold_numbers(62, None, 5, seed=0)).tolist() == [13, 13, 12, 12, 12]
