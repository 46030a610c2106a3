"""Losses of embedders against plain loops."""

import numpy as np
import pytest
import tensorflow as tf

from kerasft.models.heads.embedding_losses import contrastive_loss, cosent_loss, cosine_loss

TEMPERATURE = 0.2


@pytest.fixture
def vectors(words):
    values = words.normal(size=(5, 3, 4))
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def contrastive(ids, vectors, weights=None):
    weights = np.ones(len(ids), np.float32) if weights is None else weights
    return contrastive_loss(tf.constant(ids, tf.int64), tf.constant(vectors), tf.constant(weights), TEMPERATURE).numpy()


def by_hand(vectors, row, candidates):
    """candidates: (example, text) that are negatives of `row`."""
    own = vectors[row, 0] @ vectors[row, 1] / TEMPERATURE
    others = [vectors[row, 0] @ vectors[i, text] / TEMPERATURE for i, text in candidates]
    return np.log(np.exp([own, *others]).sum()) - own


@pytest.mark.parametrize("texts", [2, 3])
def test_contrastive_is_a_softmax_over_the_texts_of_the_batch(vectors, texts):
    losses = contrastive(np.arange(5 * texts).reshape(5, texts), vectors[:, :texts])
    for row in range(5):
        pairs = [(i, 1) for i in range(5) if i != row]
        hard = [(i, 2) for i in range(5)] if texts == 3 else []
        assert losses[row] == pytest.approx(by_hand(vectors, row, pairs + hard), rel=1e-5)


def test_texts_known_to_belong_are_no_negatives(vectors):
    # example 1 has the pair of 0; 2 asks what 0 asks; the pair of 3 and the negative of 4 are the text of 0
    ids = np.array([[10, 20, 30], [11, 20, 31], [10, 22, 32], [13, 10, 33], [14, 24, 10]])
    losses = contrastive(ids, vectors)
    assert losses[0] == pytest.approx(by_hand(vectors, 0, [(4, 1), (0, 2), (1, 2), (2, 2), (3, 2)]), rel=1e-5)
    others = [(0, 1), (1, 1), (2, 1), (3, 1)] + [(i, 2) for i in range(5)]
    assert losses[4] == pytest.approx(by_hand(vectors, 4, others), rel=1e-5)


def test_rows_that_only_fill_the_batch_are_no_negatives(vectors):
    ids = np.arange(10).reshape(5, 2)
    weights = np.array([1, 1, 1, 0, 0], np.float32)
    filled = contrastive(ids, vectors[:, :2], weights)[:3]
    np.testing.assert_allclose(filled, contrastive(ids[:3], vectors[:3, :2]), rtol=1e-6)


def test_a_batch_of_one_has_no_loss_and_a_finite_gradient(vectors):
    pair = tf.Variable(vectors[:1, :2])
    with tf.GradientTape() as tape:
        loss = contrastive_loss(tf.constant([[1, 2]], tf.int64), pair, tf.ones(1), TEMPERATURE)
    assert loss.numpy() == pytest.approx([0.0])
    assert np.isfinite(tape.gradient(loss, pair)).all()


def test_cosent_compares_all_pairs_of_pairs(vectors):
    scores = np.array([1.0, 4.0, 4.0, 2.0, 5.0], np.float32)
    weights = np.array([1, 1, 1, 1, 0], np.float32)  # the last only fills the batch up
    losses = cosent_loss(tf.constant(scores), tf.constant(vectors[:, :2]), tf.constant(weights), TEMPERATURE).numpy()
    cosines = (vectors[:, 0] * vectors[:, 1]).sum(-1) / TEMPERATURE
    gaps = [cosines[j] - cosines[i] for i in range(4) for j in range(4) if scores[i] > scores[j]]
    np.testing.assert_allclose(losses, np.log(1 + np.exp(gaps).sum()), rtol=1e-5)


def test_cosine_is_the_squared_error(vectors):
    wanted = np.linspace(-1, 1, 5).astype(np.float32)
    cosines = (vectors[:, 0] * vectors[:, 1]).sum(-1)
    losses = cosine_loss(tf.constant(wanted), tf.constant(vectors[:, :2]))
    np.testing.assert_allclose(losses, (cosines - wanted) ** 2, rtol=1e-4)
