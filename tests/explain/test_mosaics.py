"""Two texts in one: which half a label is of is known, and what an explanation gives that half is counted."""

import numpy as np
import pytest

from kerasft.attribution.base import Attributed
from kerasft.attribution.words import words_of
from kerasft.explain.mosaics import mosaics, share_inside

TEXTS = ["goal match", "market stock", "team score 😀", "bank"]
LABELS = ["sport", "money", "sport", "money"]


def test_halves_are_texts_of_two_labels_and_places_are_those_of_the_one_that_is_explained():
    label_of, found = dict(zip(TEXTS, LABELS)), mosaics(TEXTS, LABELS, 12, seed=0)
    assert len(found) == 12 and {one.start == 0 for one in found} == {True, False}
    for one in found:
        half = one.text[one.start : one.end]
        rest = (one.text[: one.start] + one.text[one.end :]).strip()
        assert (label_of[half], label_of[rest]) == (one.label, one.other) and one.label != one.other
    assert found == mosaics(TEXTS, LABELS, 12, seed=0) != mosaics(TEXTS, LABELS, 12, seed=1)


def test_texts_of_one_label_make_none():
    assert mosaics(TEXTS[:1] * 3, LABELS[:1] * 3, 4, seed=0) == []


@pytest.mark.parametrize(
    "scores, share", [([3.0, 1.0, 0.0, 0.0], 1.0), ([1.0, -5.0, 2.0, 1.0], 0.25), ([-1.0] * 4, None)]
)
def test_what_speaks_for_a_label_is_counted_in_its_half_alone(scores, share):
    one = next(each for each in mosaics(TEXTS[:2], LABELS[:2], 8, seed=0) if each.start == 0)
    result = Attributed(np.array(scores), 0.0, 1.0, 0.0)
    assert share_inside(one, words_of([one.text]), result) == share
