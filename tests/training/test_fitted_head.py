"""A head that starts from what the frozen backbone gives."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError
from support.families import BACKBONES

from kerasft.config import schema
from kerasft.console.terminal import Terminal
from kerasft.data.prepared.prepared import Prepared
from kerasft.models.heads.text_classifier import HEAD, build_classifier
from kerasft.training import fitted_head
from kerasft.training.fitted_head import PENALTY, fit_head, logistic_regression


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def test_the_regression_is_at_its_minimum_and_leaves_out_rows_without_weight(monkeypatch):
    monkeypatch.setattr(fitted_head, "ITERATIONS", 1000)
    random = np.random.default_rng(0)
    vectors = (5.0 + 3.0 * random.normal(size=(60, 4))).astype(np.float32)
    labels = (vectors[:, 0] > 5).astype(int) + (vectors[:, 1] > 6)
    weights = random.integers(1, 4, 60).astype(np.float32)
    kernel, bias = logistic_regression(vectors, labels, weights, 3)
    errors = (softmax(vectors @ kernel + bias) - np.eye(3)[labels]) * weights[:, None] / weights.sum()
    np.testing.assert_allclose(errors.sum(0), 0.0, atol=1e-4)
    centred, variance = vectors - vectors.mean(0), vectors.var(0).mean()
    np.testing.assert_allclose(centred.T @ errors + PENALTY * variance * kernel, 0.0, atol=1e-4)
    unused = np.where(np.arange(80) < 60, np.append(weights, np.zeros(20)), 0.0).astype(np.float32)
    more = np.concatenate([vectors, 100.0 * np.ones((20, 4), np.float32)]), np.append(labels, np.full(20, 7))
    for one, other in zip(logistic_regression(*more, unused, 3), (kernel, bias)):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("pooling", ["auto", "mean"])
def test_the_head_tells_labels_apart_and_the_backbone_stays(pooling):
    keras.utils.set_random_seed(0)
    backbone = BACKBONES["bert"](30)
    model = build_classifier(backbone, 3, pooling)
    random = np.random.default_rng(0)
    lengths, labels = random.integers(2, 9, 90), np.arange(90) % 3
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.repeat(labels * 9 + 2, lengths) + random.integers(0, 8, offsets[-1])  # labels have words of their own
    features = {"token_ids": ids.astype(np.int32), "padding_mask": np.ones(len(ids), bool)}
    features["segment_ids"] = np.zeros(len(ids), np.int32)
    train = Prepared(
        features={name: features[name] for name in model.input},
        offsets=offsets,
        targets=labels.astype(np.int32),
        full_lengths=lengths,
        weights=np.ones(90, np.float32),
        pad_values=dict.fromkeys(features, 0),
        longest=8,
    )
    before = [v.numpy() for v in backbone.weights]
    forms = ["projections", "first_token", "activations"]
    fit_head(model, train, tf.distribute.get_strategy(), 16, 2, forms, Terminal(stream=io.StringIO()))
    for one, other in zip(before, backbone.weights):
        np.testing.assert_array_equal(one, other.numpy())
    given, _, _ = train.batch(np.arange(90))
    assert (np.asarray(model(given, training=False)).argmax(1) == labels).mean() > 0.6
    assert model.get_layer(HEAD).kernel.trainable


def test_it_is_for_one_label_a_text():
    settings = {
        "name": "tiny",
        "task": {"name": "text_classification", "problem": "multi_label"},
        "model": {"preset": "tiny"},
        "data": {"train": "train.jsonl", "columns": {"text": "text", "label": "label"}},
        "training": {"fit_head": True},
    }
    with pytest.raises(ValidationError, match="training.fit_head"):
        schema.Config(**settings)
