"""Focal loss and the difference of two outputs, by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.models.heads.divergence import between_answers, between_classes, between_labels, between_tokens
from kerasft.tasks.registry import create_task
from kerasft.training.objectives.focal import Focal
from kerasft.training.objectives.supervised_contrastive import among_all

ONE = np.array([[1.0, -0.5, 0.2], [0.0, 2.0, -1.0]], np.float32)
OTHER = np.array([[0.4, 0.1, 0.2], [1.0, 1.0, -1.0]], np.float32)


def softmax(logits, axis=-1):
    return np.exp(logits) / np.exp(logits).sum(axis, keepdims=True)


def symmetric(p, q, axis=-1):
    return 0.5 * ((p * np.log(p / q)).sum(axis) + (q * np.log(q / p)).sum(axis))


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def test_classes_differ_by_the_mean_of_both_divergences():
    by_hand = symmetric(softmax(ONE), softmax(OTHER))
    assert (by_hand > 0.05).all()
    np.testing.assert_allclose(between_classes(ONE, OTHER), by_hand, rtol=1e-5)
    np.testing.assert_array_equal(between_classes(OTHER, ONE), between_classes(ONE, OTHER))
    np.testing.assert_array_equal(between_classes(ONE, ONE), 0.0)


def test_labels_differ_each_by_itself():
    p, q = sigmoid(ONE), sigmoid(OTHER)
    by_hand = symmetric(np.stack([p, 1 - p], -1), np.stack([q, 1 - q], -1)).sum(-1)
    np.testing.assert_allclose(between_labels(ONE, OTHER), by_hand, rtol=1e-5)


def test_tokens_without_a_target_do_not_count():
    one, other = np.stack([ONE, ONE]), np.stack([OTHER, ONE])  # (2 rows, 2 tokens, 3 classes)
    targets = tf.constant([[2, -1], [-1, -1]])
    by_hand = symmetric(softmax(ONE), softmax(OTHER))[0]
    np.testing.assert_allclose(between_tokens(targets, one, other), [by_hand, 0.0], rtol=1e-5)


def test_answers_differ_over_the_tokens_that_could_be():
    one, other = ONE.T[None, :, :], OTHER.T[None, :, :]  # (1 window, 3 tokens, first and last)
    targets = tf.constant([[0, 3, -1]])
    by_hand = symmetric(softmax(one[:, :2], 1), softmax(other[:, :2], 1), 1).mean(-1)
    np.testing.assert_allclose(between_answers(targets, one, other), by_hand, rtol=1e-5)


def task(state, **section):
    columns = {"tokens": "t", "tags": "l"} if section["name"] == "token_classification" else {"text": "t", "label": "l"}
    config = {"name": "t", "task": section, "model": {"preset": "x"}, "data": {"train": "x", "columns": columns}}
    return create_task(Config.model_validate(config), state)


def loss_of(made, logits, targets, gamma=2.0):
    shape = logits.shape[1:]
    vectors = keras.Input(shape, name="vector")
    model = keras.Model({"vector": vectors}, keras.layers.Identity()(vectors))
    weights = np.array([1.0, 3.0], np.float32)
    found = Focal(model, made, gamma=gamma).loss({"vector": tf.constant(logits)}, tf.constant(targets), weights)
    return float(found)


def test_focal_of_classes():
    p = softmax(ONE)[[0, 1], [2, 1]]
    by_hand = (np.array([1.0, 3.0]) * (1 - p) ** 2 * -np.log(p)).sum()
    made = task({"labels": ["a", "b", "c"]}, name="text_classification")
    assert loss_of(made, ONE, [2, 1]) == pytest.approx(by_hand, rel=1e-5)
    plain = float(made.loss_sum(tf.constant([2, 1]), tf.constant(ONE), tf.constant([1.0, 3.0])))
    assert loss_of(made, ONE, [2, 1], gamma=0.0) == plain > by_hand


def test_focal_of_labels():
    targets = np.array([[1, 0, 1], [0, 0, 1]], np.float32)
    p = np.where(targets == 1, sigmoid(ONE), 1 - sigmoid(ONE))
    by_hand = (np.array([1.0, 3.0])[:, None] * (1 - p) ** 2 * -np.log(p)).sum()
    made = task({"labels": ["a", "b", "c"]}, name="text_classification", problem="multi_label")
    assert loss_of(made, ONE, targets) == pytest.approx(by_hand, rel=1e-5)


def test_focal_of_tags_is_a_mean_over_tokens():
    logits, targets = np.stack([ONE, OTHER]), np.array([[0, 1], [2, -1]])
    p = softmax(logits)
    p = np.array([[p[0, 0, 0], p[0, 1, 1]], [p[1, 0, 2], 1.0]])
    each = (1 - p) ** 2 * -np.log(p)
    by_hand = each[0].mean() + 3 * each[1, 0]
    made = task({"labels": ["a"]}, name="token_classification")
    assert loss_of(made, logits, targets) == pytest.approx(by_hand, rel=1e-5)


def test_a_certain_answer_has_a_gradient():
    logits = tf.constant([[200.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    made = task({"labels": ["a", "b", "c"]}, name="text_classification")
    vectors = keras.Input((3,), name="vector")
    model = keras.Model({"vector": vectors}, keras.layers.Identity()(vectors))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = Focal(model, made, gamma=0.5).loss({"vector": logits}, tf.constant([0, 1]), tf.ones(2))
    assert np.isfinite(tape.gradient(loss, logits)).all()


def test_a_text_among_all_of_its_batch():
    vectors = np.array([[3.0, 1.0], [1.0, 1.0], [-1.0, 2.0], [2.0, 0.5], [9.0, 9.0]], np.float32)
    labels, weights = np.array([0, 0, 1, 0, 1], np.int32), np.array([1, 1, 1, 1, 0], np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = np.exp(unit @ unit.T / 0.3)
    by_hand = []
    for row in range(4):
        others = [other for other in range(4) if other != row]  # the last only fills the batch up
        same = [other for other in others if labels[other] == labels[row]]
        shares = [likeness[row, other] / likeness[row, others].sum() for other in same]
        by_hand.append(-np.mean(np.log(shares)) if same else 0.0)
    assert by_hand[2] == 0.0 < min(by_hand[0], by_hand[1])
    np.testing.assert_allclose(among_all(labels, vectors, weights, 0.3)[:4], by_hand, rtol=1e-5)
