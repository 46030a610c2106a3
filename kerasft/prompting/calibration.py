"""What a model says of labels whatever the text is, taken off once and for all (Zhao et al. 2021, arXiv:2102.09690).

A model may like the word "good" more than "terrible" before it has read anything. The probabilities over the labels, in
the mean over texts that say nothing (or over texts without labels, for the prior), become a bias of the logits. It is a
weight of the model: an answer does not depend on the texts beside it, in a batch or in a server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from scipy.special import logsumexp

BIAS = "label_bias"  # the layer's name


@keras.saving.register_keras_serializable(package="kerasft")
class LabelBias(keras.layers.Layer):
    """(batch, labels) scores plus a number for each label, 0 until it is calibrated."""

    def build(self, input_shape):
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, scores):
        return scores + self.bias


def calibrate(scores_of: Callable[[Sequence[str]], np.ndarray], texts: Sequence[str], prior: bool) -> np.ndarray:
    """(labels,) float32 bias that takes off what some texts say in common.

    Args:
        scores_of: texts -> (texts, labels) uncalibrated logits.
        texts: that say nothing; or, for a prior, whose labels are about as frequent as each other.
        prior: take off the means of log-probabilities, as batch calibration does (Zhou et al. 2023, arXiv:2309.17249);
            otherwise probabilities are divided by their means, so that those of a single text become uniform.
    """
    scores = scores_of(texts).astype(np.float64)
    log_odds = scores - logsumexp(scores, axis=1, keepdims=True)
    means = log_odds.mean(axis=0) if prior else logsumexp(log_odds, axis=0) - np.log(len(texts))
    return -means.astype(np.float32)
