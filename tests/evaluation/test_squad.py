"""Scores of answers, against cases worked out with SQuAD's official scripts (v1.1 and v2.0) by hand."""

import re
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.evaluation.squad import answer_metrics, answer_scores, answer_tokens, choose_threshold

CASES = [  # answer, truths, exact match, F1
    ("Denver Broncos", ["Denver Broncos", "The Denver Broncos"], True, 1.0),
    ("the Denver Broncos!", ["Denver Broncos"], True, 1.0),
    ("Broncos", ["Denver Broncos"], False, 2 / 3),
    ("Denver", ["Carolina", "in Denver, Colorado"], False, 0.5),
    ("a, an, the", ["of"], False, 0.0),
    ("10-22", ["1022"], True, 1.0),
    ("no no no", ["no no"], False, 0.8),
    ("", ["Denver"], False, 0.0),
    ("", [], True, 1.0),
    ("Denver", [], False, 0.0),
    ("", ["The"], True, 1.0),
    ("theatre", ["the theatre"], True, 1.0),
    ("é", ["É"], True, 1.0),
    ("北京", ["北京。"], True, 1.0),
    ("北京", ["北京大学"], False, 2 / 3),
    ("在 1820 年", ["1820 年"], False, 0.8),
    ("NBA联盟", ["nba 联盟"], True, 1.0),
    ("“公式”", ["公式"], True, 1.0),
]


@pytest.mark.parametrize("answer, truths, exact, f1", CASES)
def test_cases(answer, truths, exact, f1):
    assert answer_scores(answer, truths) == (exact, pytest.approx(f1))


def official(text):
    """`normalize_answer` of evaluate-v1.1.py, written anew."""
    text = "".join(sign for sign in text.lower() if sign not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


WORDS = st.lists(st.sampled_from(["the", "A", "mill", "Mill,", "(mill)", "é", "-", "1820", " ", "don't"]), max_size=8)


@settings(max_examples=200, deadline=None)
@given(answer=WORDS.map(" ".join), truth=WORDS.map(" ".join))
def test_text_without_chinese_is_scored_as_officially(answer, truth):
    assert answer_tokens(answer) == official(answer).split()
    exact, f1 = answer_scores(answer, [truth])
    given, wanted = official(answer).split(), official(truth).split()
    assert exact == (official(answer) == official(truth))
    if given and wanted:
        common = sum((Counter(given) & Counter(wanted)).values())
        precision, recall = common / len(given), common / len(wanted)
        assert f1 == pytest.approx(2 * precision * recall / (precision + recall) if common else 0.0)
    else:
        assert f1 == float(given == wanted)


def test_metrics_of_groups():
    exact, f1 = np.array([True, False, True, False]), np.array([1.0, 0.5, 1.0, 0.0])
    assert answer_metrics(exact, f1, np.ones(4, bool)) == {"rows": 4, "exact_match": 0.5, "f1": 0.625}
    both = answer_metrics(exact, f1, np.array([True, True, False, False]))
    assert both["has_answer_f1"] == 0.75 and both["has_answer_exact_match"] == 0.5 and both["no_answer_f1"] == 0.5
    assert (both["has_answer_rows"], both["no_answer_rows"]) == (2, 2)
    none = answer_metrics(exact, f1, np.zeros(4, bool))
    assert none["no_answer_f1"] == none["f1"] and "has_answer_f1" not in none


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(-5, 5).map(float) | st.just(np.inf), st.sampled_from([0.0, 0.5, 1.0]), st.booleans()),
        min_size=1,
        max_size=12,
    )
)
def test_no_threshold_is_better_than_the_one_chosen(rows):
    gaps, answered, empty = (np.array(column) for column in zip(*rows))
    answered = np.where(empty, 0.0, answered)
    refused = empty.astype(float)
    score = lambda threshold: np.where(gaps > threshold, refused, answered).sum()  # noqa: E731
    chosen = choose_threshold(gaps.astype(np.float32), answered, refused)
    assert np.isfinite(chosen)
    assert score(chosen) == max(score(threshold) for threshold in np.arange(-6.25, 6.5, 0.5))
