"""Perplexity, bits per byte and accuracy against their definitions."""

import numpy as np
import pytest

from kerasft.evaluation.causal_lm_metrics import causal_lm_metrics, perplexity_interval


def test_figures_are_over_all_tokens_that_are_to_be_said():
    targets = np.array([3, 4, -1, 5, -1])
    kept = np.log([[0.5, 1], [0.25, 1], [0.9, 1], [0.125, 1], [1e-9, 1]]).astype(np.float32)
    kept[:, 1] = [1, 0, 1, 0, 1]
    found = causal_lm_metrics(targets, kept, rows=2, text_bytes=12)
    assert found["rows"] == 2 and found["tokens"] == 3
    assert found["log_loss"] == pytest.approx(2 * np.log(2))
    assert found["perplexity"] == pytest.approx(4)
    assert found["bits_per_byte"] == pytest.approx(6 / 12)
    assert found["accuracy"] == pytest.approx(1 / 3)


def test_a_hopeless_model_has_a_perplexity_that_can_be_written():
    found = causal_lm_metrics(np.array([1]), np.array([[-1e6, 0]], np.float32), 1, 1)
    assert np.isfinite(found["perplexity"]) and found["log_loss"] == pytest.approx(1e6)


def test_the_interval_draws_rows_and_weighs_them_by_their_tokens():
    offsets = np.array([0, 2, 3, 6])
    kept = np.zeros((6, 2), np.float32)
    kept[:, 0] = -np.log(3)
    found = perplexity_interval(np.array([1, 2, 3, -1, 4, 5]), kept, offsets, seed=0)
    assert found["low"] == pytest.approx(3) == pytest.approx(found["high"])
    kept[2, 0] = -np.log(30)
    found = perplexity_interval(np.array([1, 2, 3, -1, 4, 5]), kept, offsets, seed=0)
    assert found["low"] == pytest.approx(3) and found["high"] == pytest.approx(30)
