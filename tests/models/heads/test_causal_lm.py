"""The loss of a causal language model and what an evaluation keeps, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from kerasft.errors import UserError
from kerasft.models.heads.causal_lm import CausalLM, causal_lm_loss, condense

LOGITS = np.random.default_rng(0).normal(size=(3, 2, 7)).astype(np.float32)
LOGS = LOGITS - np.log(np.exp(LOGITS).sum(-1, keepdims=True))
TARGETS = np.array([[3, 6], [1, -1], [-1, -1]], np.int32)


def test_loss_is_the_mean_over_what_is_to_be_said():
    expected = [-(LOGS[0, 0, 3] + LOGS[0, 1, 6]) / 2, -LOGS[1, 0, 1], 0.0]
    np.testing.assert_allclose(causal_lm_loss(tf.constant(TARGETS), tf.constant(LOGITS)), expected, rtol=1e-5)


def test_an_evaluation_keeps_the_truth_and_whether_it_was_likeliest():
    best = LOGITS.argmax(-1).astype(np.int32)
    kept = condense(tf.constant(best), tf.constant(LOGITS)).numpy()
    assert kept[..., 1].all()
    np.testing.assert_allclose(kept[..., 0], LOGS.max(-1), rtol=1e-5)
    kept = condense(tf.constant(TARGETS), tf.constant(LOGITS)).numpy()
    np.testing.assert_allclose(kept[0, :, 0], [LOGS[0, 0, 3], LOGS[0, 1, 6]], rtol=1e-5)
    assert kept[0, :, 1].tolist() == [float(best[0, 0] == 3), float(best[0, 1] == 6)]


def test_an_encoder_writes_nothing(tiny_bert):
    with pytest.raises(UserError, match="not with a BertBackbone"):
        CausalLM(tiny_bert())
