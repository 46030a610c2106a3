"""Figures of masked language modelling, against values by hand."""

import numpy as np
import pytest

from kerasft.evaluation.masked_lm_metrics import guesses, masked_lm_metrics, perplexity_interval

TARGETS = np.array([[7, 2], [9, -1]])


def kept(*rows):
    """(log-probability, likeliest two ids) -> what an evaluation keeps."""
    return np.array([[[log, -0.1, -2.0, *ids] for log, ids in row] for row in rows], np.float32)


KEPT = kept([(-0.1, (7, 3)), (-2.0, (4, 2))], [(-6.0, (1, 5)), (-99.0, (0, 0))])


def test_by_hand():
    found = masked_lm_metrics(TARGETS, KEPT)
    assert found["log_loss"] == pytest.approx(8.1 / 3) and found["perplexity"] == pytest.approx(np.exp(2.7))
    assert found["accuracy"] == pytest.approx(1 / 3) and found["top_5_accuracy"] == pytest.approx(2 / 3)
    assert (found["rows"], found["masked_tokens"]) == (2, 3)


def test_nothing_hidden_has_no_figures():
    found = masked_lm_metrics(np.full((2, 2), -1), KEPT)
    assert found["perplexity"] is None and found["accuracy"] is None
    assert perplexity_interval(np.full((2, 2), -1), KEPT, 0)["low"] is None


def test_a_hopeless_model_overflows_nothing():
    assert np.isfinite(masked_lm_metrics(np.array([[1]]), kept([(-1e5, (0, 2))]))["perplexity"])


def test_the_interval_holds_the_figure():
    random = np.random.default_rng(0)
    targets = np.where(random.random((300, 4)) < 0.7, 5, -1)
    logs = np.concatenate([-random.exponential(2.0, (300, 4, 1)), np.zeros((300, 4, 4))], -1)
    found = perplexity_interval(targets, logs, 0)
    assert found["low"] < masked_lm_metrics(targets, logs)["perplexity"] < found["high"]
    assert found == perplexity_interval(targets, logs, 0)


def test_guesses_of_hidden_tokens_alone():
    found = list(guesses(TARGETS, KEPT))
    assert [[guess.ids for guess in row] for row in found] == [[[7, 3], [4, 2]], [[1, 5]]]
    assert found[0][0].scores == pytest.approx(np.exp([-0.1, -2.0]), rel=1e-5)
