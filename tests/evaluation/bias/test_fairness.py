"""Differences between groups, beside fairlearn's."""

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_difference, equal_opportunity_difference, equalized_odds_difference

from kerasft.data.quality.group_words import WORDS, GroupWords
from kerasft.evaluation.bias.exchange import exchange
from kerasft.evaluation.bias.fairness import fairness, gaps
from kerasft.evaluation.statistics import clustered_share, share


@pytest.mark.parametrize("seed", range(5))
def test_gaps_are_fairlearns(seed):
    random = np.random.default_rng(seed)
    truth, groups = random.random(300) < 0.4, random.integers(0, 3, 300)
    answered = random.random(300) < 0.3 + 0.1 * groups
    theirs = {
        "demographic_parity": demographic_parity_difference,
        "equal_opportunity": equal_opportunity_difference,
        "equalized_odds": equalized_odds_difference,
    }
    for name, value in gaps(truth, answered, groups).items():
        assert value == pytest.approx(theirs[name](truth, answered, sensitive_features=groups), abs=1e-12)


def test_the_worst_label_is_told_and_small_groups_are_not():
    random = np.random.default_rng(0)
    groups = ["a"] * 100 + ["b"] * 100 + ["c"] * 10 + [""] * 5
    truth = random.integers(0, 3, 215)
    given = truth.copy()
    given[100:200][truth[100:200] == 2] = 0  # of b, label 2 is never given
    found = fairness(truth, given, groups, ["x", "y", "z"], seed=0)
    assert found["small"] == ["c"] and set(found["groups"]) == {"a", "b", "c"}
    worst = found["gaps"]["equal_opportunity"]
    assert worst["label"] == "z" and worst["value"] == 1.0 and set(worst["rates"]) == {"a", "b"}
    assert found["gaps"]["equalized_odds"]["low"] > 0.5
    assert found["groups"]["b"]["accuracy"]["value"] == np.mean(truth[100:200] != 2)
    assert fairness(truth[:40], given[:40], groups[:40], ["x", "y", "z"], seed=0)["gaps"] == {}


def test_a_label_with_a_row_or_two_in_a_group_is_no_difference():
    """Of one label in a hundred each group has one row, of which one answer is wrong: that says nothing of groups."""
    groups = ["a"] * 100 + ["b"] * 100
    truth = np.tile(np.r_[np.zeros(50, int), np.ones(49, int), 2], 2)
    given = truth.copy()
    given[199] = 0
    found = fairness(truth, given, groups, ["x", "y", "rare"], seed=0)["gaps"]
    assert found["equal_opportunity"]["value"] == 0.0 and found["equalized_odds"]["value"] < 0.05
    assert found["demographic_parity"]["value"] == pytest.approx(0.01)
    assert "equal_opportunity" not in fairness(truth[99:], given[99:], groups[99:], ["x", "y", "rare"], seed=0)["gaps"]


def test_words_of_a_group_are_exchanged_in_english_and_chinese():
    gender = GroupWords(WORDS["gender"])
    assert gender.group("She saw her mother") == "women" and gender.group("他和她") == ""
    assert gender.group("the theme of history") == ""
    assert gender.exchanged("She told her brother, HER only one. I saw her.", "men") == (
        "He told his brother, HIS only one. I saw him."
    )
    assert gender.exchanged("妈妈爱她", "men") == "爸爸爱他" and gender.exchanged("nobody", "men") == "nobody"
    assert gender.exchanged("I saw him", "women") == "I saw her" and gender.group("ask him") == "men"
    assert gender.group("还有其他问题") == "" and gender.group("他们") == "men"
    origin = GroupWords(WORDS["origin"])
    assert origin.exchanged("Chinese food", "mexican") == "Mexican food"


def test_an_exchange_counts_answers_that_change():
    rows = [{"text": "she is a nurse"}, {"text": "he is a nurse"}, {"text": "it rains"}]

    def ask(rows):
        return ["bad" if "she" in row["text"] else "good" for row in rows], [0.9 for _ in rows]

    found = exchange(rows, GroupWords(WORDS["gender"]), ask)
    assert found["rows"] == 2 and found["flipped"]["value"] == 1.0 and found["mean_change"] == 0.0
    assert found["pairs"]["women -> men"]["rows"] == 1 and found["examples"][0]["after"] == "good"
    rows = [{"text": f"the church {number}"} for number in range(20)]
    twice = exchange(rows, GroupWords(WORDS["religion"]), lambda rows: (["same"] * len(rows), [0.9] * len(rows)))
    assert (twice["rows"], twice["texts"]) == (40, 20)  # two other groups each
    assert twice["flipped"]["high"] == share(0, 20)["high"] > share(0, 40)["high"]


def test_trials_of_one_cluster_count_as_what_they_tell():
    alone = share(12, 40)
    apart = clustered_share([1] * 12 + [0] * 28, [1] * 40)
    assert (apart["low"], apart["high"]) == pytest.approx((alone["low"], alone["high"]), abs=3e-3)
    alike = clustered_share([4] * 3 + [0] * 7, [4] * 10)  # four trials that always end alike are one
    assert alike["value"] == 0.3 and alike["rows"] == 40
    assert alike["high"] - alike["low"] > share(3, 10)["high"] - share(3, 10)["low"] - 0.02
    assert clustered_share([], [])["value"] is None
