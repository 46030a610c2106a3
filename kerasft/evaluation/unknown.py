"""How much a text looks like none that a model has learnt: scores that are high where it is unknown."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasft.evaluation.statistics import auroc

REJECTED = 0.05  # share of known texts that may be taken for unknown

# Plain sentences about all sorts of things: few models have a label for them.
FOREIGN = (
    "The bridge was painted green last summer.",
    "A flock of geese flew over the frozen lake.",
    "She practises the cello for two hours every evening.",
    "The recipe needs three eggs and a pinch of salt.",
    "Mount Everest is the highest mountain on Earth.",
    "The goalkeeper saved a penalty in the last minute.",
    "Photosynthesis turns light into chemical energy.",
    "He planted tomatoes along the southern wall.",
    "The museum opens at ten except on Mondays.",
    "An old lighthouse stands at the end of the pier.",
    "They argued about the ending of the film.",
    "Quantum computers use qubits instead of bits.",
    "The dog buried its bone under the apple tree.",
    "Our train was delayed by a fallen tree.",
    "Shakespeare wrote about thirty-seven plays.",
    "The carpet in the hall needs a good cleaning.",
    "Volcanic soil is good for growing grapes.",
    "A new species of frog was found in Peru.",
    "The choir sang without a conductor.",
    "Snow covered the roofs of the village.",
    "昨天晚上下了一场大雪。",
    "他每天早上在公园里打太极拳。",
    "这座桥建于明朝。",
    "熊猫喜欢吃竹子。",
    "我们在海边捡到了很多贝壳。",
    "小提琴的声音很优美。",
    "地球绕着太阳转。",
    "妈妈在厨房里包饺子。",
    "这本小说的结局让人意外。",
    "足球比赛因为大雨推迟了。",
)


def unknown_scores(logits: np.ndarray, temperature: float = 1.0) -> dict[str, np.ndarray]:
    """(rows, labels) -> name -> (rows,) score, high where a text is unknown.

    max_probability: one minus it (Hendrycks and Gimpel 2017, arXiv:1610.02136); entropy; energy: minus the logarithm
    of the sum of exponentials (Liu et al. 2020, arXiv:2010.03759), at the temperature of the answers.
    """
    from scipy.special import logsumexp, softmax

    scaled = logits.astype(np.float64) / temperature
    chances = softmax(scaled, axis=1)
    return {
        "max_probability": 1 - chances.max(1),
        "entropy": -(chances * np.log(np.maximum(chances, 1e-300))).sum(1),
        "energy": -temperature * logsumexp(scaled, axis=1),
    }


def distances(vectors: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(rows,) one minus the largest cosine with a known text's vector (Sun et al. 2022, arXiv:2204.06507, k = 1)."""
    one, other = (
        values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12) for values in (vectors, known)
    )
    return 1 - np.concatenate([(one[start : start + 512] @ other.T).max(1) for start in range(0, len(one), 512)])


def separated(known: np.ndarray, unknown: np.ndarray) -> dict[str, Any]:
    """How well a score tells unknown texts from known ones.

    Returns:
        auroc; threshold: the score that REJECTED of the known texts are above; caught: the share of the unknown ones
        that are above it.
    """
    threshold = float(np.quantile(known, 1 - REJECTED, method="higher"))
    return {
        "auroc": auroc(unknown, known),
        "threshold": threshold,
        "rejected": float((known > threshold).mean()),
        "caught": float((unknown > threshold).mean()),
    }
