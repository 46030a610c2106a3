"""Mosaics: two texts of different labels side by side, so that it is known which half speaks for which label.

Arias-Duart et al. 2022 (Focus, arXiv:2109.15035) made them of pictures; of texts it is the share of positive
attribution that lies in the half of the label that is explained. By chance it is a half.

The number that is explained may be the label's logit, or that of the label less that of the other half's label. The
second asks what the halves were joined for: a logit alone also has what speaks for every label, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasft.attribution.base import Attributed
from kerasft.attribution.words import Word


class Mosaic(NamedTuple):
    """Two texts in one.

    Attributes:
        text: both, with a space between them.
        label: of the half that is explained.
        other: label of the other half.
        start, end: code points of that half.
    """

    text: str
    label: str
    other: str
    start: int
    end: int


def mosaics(texts: Sequence[str], labels: Sequence[str], count: int, seed: int) -> list[Mosaic]:
    """Pairs of texts with different labels, of which the first or the second is explained, drawn by the seed."""
    draw, found = np.random.default_rng(seed), []
    for _ in range(20 * count):
        if len(found) == count or len(set(labels)) < 2:
            break
        one, other = map(int, draw.choice(len(texts), 2, replace=False))
        if labels[one] == labels[other]:
            continue
        first = bool(draw.integers(2))
        pair = (texts[one], texts[other]) if first else (texts[other], texts[one])
        start = 0 if first else len(pair[0]) + 1
        found.append(Mosaic(" ".join(pair), labels[one], labels[other], start, start + len(texts[one])))
    return found


def share_inside(mosaic: Mosaic, words: Sequence[Word], result: Attributed) -> float | None:
    """The share of positive attribution in the right half; None where nothing is positive."""
    positive = np.maximum(result.words, 0.0)
    inside = np.array([mosaic.start <= word.start < mosaic.end for word in words], bool)
    total = float(positive.sum())
    return float(positive[inside].sum()) / total if total > 0 else None
