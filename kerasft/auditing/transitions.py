"""What is true of rows, by what is said of them and by how often each class is mistaken for each other.

A model that learnt from noisy labels gives the probability of the label that a person would write. Where annotators
write one class for another more often than the reverse, that is not the probability of the true class. The matrix of
such mistakes, `P(given | true)`, is estimated by confident learning's joint counts (arXiv:1911.00068), smoothed, and
taken out again: expectation-maximisation finds for each row the true classes that give the model's probabilities, as
Dawid and Skene 1979 do for annotators; Bayes' rule then says how well the given label goes with them.
"""

from __future__ import annotations

import numpy as np

from kerasft.auditing.confident import confident_joint

ROUNDS = 30  # of expectation and maximisation
SMOOTHING = 0.01  # share of each class that may be given any label: a mistake that was never counted can happen


def true_probabilities(given: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """(rows, classes) the probability of each class being true of a row, its given class taken into account.

    Args:
        given: (rows,) class of each row by the data.
        probabilities: (rows, classes) of the given class, out of sample; each row's sum is 1.
    """
    classes = probabilities.shape[1]
    joint = confident_joint(given, probabilities).astype(float)
    mistakes = joint / joint.sum(0)  # (given, true), each column's sum is 1; the joint's diagonal is never 0
    mistakes = (1 - SMOOTHING) * mistakes + SMOOTHING / classes
    true = np.full(probabilities.shape, 1.0 / classes)
    for _ in range(ROUNDS):
        explained = np.maximum(true @ mistakes.T, 1e-12)  # (rows, given)
        true *= (probabilities / explained) @ mistakes
        true /= true.sum(1, keepdims=True)
    believed = true * mistakes[given]
    return believed / believed.sum(1, keepdims=True)
