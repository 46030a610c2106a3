"""Whether a model is right as often as it says it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def reliability_bins(confidences: np.ndarray, correct: np.ndarray, bins: int = 15) -> list[dict[str, Any]]:
    """Confidence against accuracy in equal-width bins, Guo et al. 2017, arXiv:1706.04599.

    Args:
        confidences: (n,) float in [0, 1], the probability of what was predicted.
        correct: (n,) bool, whether it was right.
        bins: how many intervals (low, high] divide [0, 1]; 0 itself falls into the first.

    Returns:
        One {low, high, confidence, accuracy, count} a bin; confidence and accuracy are means, None in an empty bin.
    """
    edges = np.linspace(0, 1, bins + 1)
    bin_index = np.clip(np.digitize(confidences, edges, right=True) - 1, 0, bins - 1)
    counts = np.bincount(bin_index, minlength=bins)
    confidence_sums = np.bincount(bin_index, np.asarray(confidences, np.float64), minlength=bins)
    correct_sums = np.bincount(bin_index, np.asarray(correct, np.float64), minlength=bins)
    return [
        {
            "low": float(edges[index]),
            "high": float(edges[index + 1]),
            "confidence": float(confidence_sums[index] / count) if count else None,
            "accuracy": float(correct_sums[index] / count) if count else None,
            "count": int(count),
        }
        for index, count in enumerate(counts)
    ]


def expected_calibration_error(bins: Sequence[dict[str, Any]]) -> float | None:
    """Mean gap between confidence and accuracy over `reliability_bins`, each bin by its count; None without rows."""
    filled = [row for row in bins if row["count"]]
    total = sum(row["count"] for row in filled)
    if not total:
        return None
    return sum(row["count"] * abs(row["accuracy"] - row["confidence"]) for row in filled) / total
