"""Mixup of vectors by hand, and the shares that are drawn."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.models.heads.text_classifier import HEAD
from kerasft.training.objectives.mixup import Mixup


class Squares:
    """The part of a task that an objective reads: a loss of logits and one number each."""

    def loss_sum(self, targets, logits, weights):
        return tf.reduce_sum(weights * tf.square(logits[:, 0] - targets))


def mixup(alpha=0.4, seed=0):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,), name="x")
    vector = keras.layers.Dense(3, activation="tanh")(inputs)
    model = keras.Model({"x": inputs}, keras.layers.Dense(2, name=HEAD)(vector))
    return Mixup(model, Squares(), alpha=alpha, seed=seed)


def test_the_loss_by_hand(monkeypatch):
    objective = mixup()
    monkeypatch.setattr(objective, "_drawn", lambda rows: (tf.constant(0.3), tf.constant(2)))
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    targets, weights = np.arange(5, dtype=np.float32), np.array([1, 2, 0, 1, 1], np.float32)
    dense, head = objective.model.layers[1], objective.model.get_layer(HEAD)
    vectors = np.tanh(x @ dense.kernel.numpy() + dense.bias.numpy())
    other = np.roll(np.arange(5), 2)  # the row whose vector stands beside each
    mixed = 0.3 * vectors + 0.7 * vectors[other]
    logits = (mixed @ head.kernel.numpy() + head.bias.numpy())[:, 0]
    expected = np.sum(weights * (0.3 * (logits - targets) ** 2 + 0.7 * (logits - targets[other]) ** 2))
    found = objective.loss({"x": tf.constant(x)}, tf.constant(targets), tf.constant(weights))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_shares_and_others_are_drawn_evenly():
    objective = mixup(alpha=0.4)
    draw = tf.function(objective._drawn)
    shares, further = zip(*((float(share), int(step)) for share, step in (draw(tf.constant(5)) for _ in range(3000))))
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.01)  # of Beta(alpha, alpha)
    assert np.bincount(further).tolist()[0] == 0 and np.bincount(further, minlength=5)[1:].min() > 600


def test_one_row_is_mixed_with_itself():
    objective = mixup()
    x, target, weight = tf.ones((1, 4)), tf.constant([2.0]), tf.constant([1.0])
    plain = Squares().loss_sum(target, objective.model({"x": x}), weight)
    assert float(objective.loss({"x": x}, target, weight)) == pytest.approx(float(plain), rel=1e-5)


def test_a_run_that_goes_on_draws_on():
    first, second = mixup(seed=3), mixup(seed=3)
    drawn = [float(first._drawn(tf.constant(4))[0]) for _ in range(4)]
    [second._drawn(tf.constant(4)) for _ in range(2)]
    state = second.variables[0].numpy()
    third = mixup(seed=9)
    third.variables[0].assign(state)
    assert [float(third._drawn(tf.constant(4))[0]) for _ in range(2)] == drawn[2:]
