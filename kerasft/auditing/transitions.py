"""What is true of rows, by what is said of them and by how often each class is mistaken for each other.

A model that learnt from noisy labels gives the probability of the label that a person would write. Where annotators
write one class for another more often than the reverse, that is not the probability of the true class. The matrix of
such mistakes, `P(given | true)`, is estimated by confident learning's joint counts (arXiv:1911.00068), smoothed, and
taken out again: expectation-maximisation finds for each row the true classes that give the model's probabilities, as
Dawid and Skene 1979 do for annotators; Bayes' rule then says how well the given label goes with them.

Neighbours say more once their own mistakes are out: in a few rounds each row believes what its neighbours believe of
themselves (label propagation, Zhu and Ghahramani 2002), with the matrix of mistakes that the round before shows.
"""

from __future__ import annotations

import numpy as np

from kerasft.auditing.confident import confident_joint
from kerasft.auditing.neighbours import Neighbours

ROUNDS = 30  # of expectation and maximisation
PASSES = 2  # of beliefs, from neighbour to neighbour
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
    return _believed(given, true, mistakes)


def shared_probabilities(given: np.ndarray, true: np.ndarray, neighbours: Neighbours) -> np.ndarray:
    """(rows, classes) the same, by what the neighbours of a row are believed to be instead of what they are given.

    Args:
        given: (rows,) class of each row by the data.
        true: (rows, classes) what `true_probabilities` gave.
        neighbours: of each row.
    """
    classes = true.shape[1]
    for _ in range(PASSES):
        own = neighbours.mean(true)
        mistakes = np.full((classes, classes), 2.0 / classes)
        np.add.at(mistakes, (given, own.argmax(1)), 1.0)
        true = _believed(given, own, mistakes / mistakes.sum(0))
    return true


def _believed(given: np.ndarray, true: np.ndarray, mistakes: np.ndarray) -> np.ndarray:
    """Bayes' rule: (rows, classes) what is believed once the given class is known."""
    believed = true * mistakes[given]
    return believed / believed.sum(1, keepdims=True)
