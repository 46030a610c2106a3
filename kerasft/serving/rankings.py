"""Names that an answer ranks by their scores, in an order in which two answers can be compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]

RANKED = {"top_labels": "top_probabilities", "classes": "scores"}  # outputs of names -> those of their scores


def in_order_of(answer: Arrays, other: Arrays) -> Arrays:
    """`other` with ranked names in the order that they have in `answer`, both of one row.

    Names are ranked by scores, and two whose scores are equal but for rounding may change places, or one of them take
    the last place. So the scores of the same names are compared, and a name that the other ranking lacks stands for one
    of its own with a score within the tolerance.
    """
    ordered = dict(other)
    for names, scores in RANKED.items():
        if not all(key in each for key in (names, scores) for each in (answer, other)):
            continue
        if any(answer[key].shape != other[key].shape or answer[key].ndim != 2 for key in (names, scores)):
            continue
        reference, own = answer[names][0].tolist(), dict(zip(other[names][0].tolist(), other[scores][0].tolist()))
        if not len(set(reference)) == len(own) == len(reference):
            continue
        others = iter([name for name in own if name not in reference])
        order = [(name, own[name]) if name in own else (name, own[next(others)]) for name in reference]
        ordered[names] = np.array([[name for name, _ in order]], other[names].dtype)
        ordered[scores] = np.array([[score for _, score in order]], other[scores].dtype)
    return ordered
