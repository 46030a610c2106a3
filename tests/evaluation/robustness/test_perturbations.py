"""Changes of texts, and what an audit makes of the answers to them."""

import random

import numpy as np
import pytest

from kerasft.evaluation.robustness.base import changed
from kerasft.evaluation.robustness.measure import compared
from kerasft.evaluation.robustness.registry import PERTURBATIONS
from kerasft.evaluation.robustness.slices import clusters, length_parts, worst_slices
from kerasft.evaluation.robustness.spelling import full_width, without_accents
from kerasft.evaluation.robustness.wording import negated, other_names, other_numbers, without_punctuation

TEXTS = ["My card is lost, James! Pay 120 pounds.", "naïve café", "我的卡不见了，王芳。", "", "a", "😀 ok", "x\u200by"]
BY_NAME = {perturbation.name: perturbation for perturbation in PERTURBATIONS}


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_change_is_a_function_of_the_seed_and_the_text(name):
    for text in TEXTS:
        once = changed(BY_NAME[name], text, 3)
        assert once == changed(BY_NAME[name], text, 3) and isinstance(once, str)
    assert any(changed(BY_NAME[name], text, 3) != text for text in TEXTS)


def test_changes_are_what_their_names_say():
    draw = random.Random(0)
    assert without_accents("naïve Café हिन्दी", draw) == "naive Cafe हिन्दी"
    assert full_width("a1!", draw) == "ａ１!"
    assert without_punctuation("Lost, really? 3.5 of us. 好，的。", draw) == "Lost really 3.5 of us 好的"
    assert negated("My card is lost", draw) == "My card is not lost" and negated("it isn't so", draw) == "it isn't so"
    assert negated("这是我的", draw) == "这不是我的" and negated("我有钱", draw) == "我没有钱"
    number = other_numbers("pay 120 now, not 3.5", draw)
    assert (
        number != "pay 120 now, not 3.5" and number.endswith("not 3.5") and len(number) == len("pay 120 now, not 3.5")
    )
    assert other_names("James lives in Paris", draw).split()[0] not in ("James", "Paris")
    assert changed(BY_NAME["typos"], "transfer", 1) != "transfer"


def test_flips_and_the_price_of_a_change():
    before, after = ["a"] * 10, ["a"] * 7 + ["b"] * 3
    found = compared(before, after, np.ones(10), np.array([1.0] * 7 + [0.0] * 3))
    assert found["flipped"]["value"] == 0.3 and found["change"]["value"] == pytest.approx(-0.3)
    assert found["p"] == pytest.approx(0.25) and found["change"]["low"] <= -0.3 <= found["change"]["high"]
    assert "change" not in compared(before, after)


def test_a_slice_that_is_worse_is_named_with_all_comparisons_in_view():
    random_ = np.random.default_rng(0)
    parts = [f"part {i}" for i in random_.integers(0, 12, 600)]
    right = random_.random(600) < 0.9
    nothing = worst_slices(right, {"any": parts})
    assert nothing["worse"] == 0 and nothing["compared"] == 12
    right[[part == "part 3" for part in parts]] = False
    found = worst_slices(right, {"any": parts})
    assert found["slices"][0]["name"] == "part 3" and found["worse"] == 1
    assert found["slices"][0]["p"] < found["slices"][0]["p_adjusted"] < 1e-6


def test_parts_by_length_and_by_words():
    names = length_parts([1, 1, 1, 2, 5, 9, 9, 12])
    assert len(set(names)) == 4 and names[0] == names[2] == "1 to 1 words" and names[-1] == "12 to 12 words"
    texts = ["card lost card", "card lost", "rate today rate", "rate today"] * 6
    found = clusters(texts, 0, 2)
    assert len({found[i] for i in range(0, 24, 4)}) == 1 and found[0] != found[2]
    assert clusters(["a", "b"], 0) == ["all", "all"]
