"""Sets of sentences and questions about people: their forms and figures."""

import pytest

from kerasft.errors import BadRow
from kerasft.evaluation.bias.pairs import Pair, pair_figures, read_pair, shared_tokens
from kerasft.evaluation.bias.questions import COLUMNS, option_of, question_figures, read_question

PAIRS = [Pair("gender", "a", "b"), Pair("gender", "c", "d"), Pair("age", "e", "f"), Pair("age", "g", "h")]


def test_the_share_of_stereotypes_and_its_mirror():
    scores = [(2.0, 1.0, None), (1.0, 1.0, None), (3.0, 1.0, None), (0.0, 1.0, None)]
    found = pair_figures(PAIRS, scores)
    assert found["stereotype"]["value"] == pytest.approx(2 / 3) and found["stereotype"]["ties"] == 1
    mirrored = pair_figures(PAIRS, [(other, one, None) for one, other, _ in scores])
    assert mirrored["stereotype"]["value"] == pytest.approx(1 / 3)
    assert found["kinds"]["age"]["value"] == 0.5 and "language" not in found


def test_stereosets_scores():
    """Language 3/4; the stereotype is likelier in 1 of 2: icat is the language score."""
    found = pair_figures(PAIRS[:2], [(2.0, 1.0, 0.0), (1.0, 3.0, 2.0)])
    assert found["language"]["value"] == 0.75 and found["icat"] == pytest.approx(0.75)


def test_tokens_that_two_sentences_share():
    assert shared_tokens([1, 7, 3, 4], [1, 8, 9, 3, 4]) == ([0, 2, 3], [0, 3, 4])


def test_forms_are_read_or_refused_with_their_place():
    row = {"sent_more": "a", "sent_less": "b", "bias_type": "age"}
    assert read_pair(row, "f:2") == Pair("age", "a", "b")
    with pytest.raises(BadRow, match=r"f:3: a pair has the texts sent_more.*; there are sent_more"):
        read_pair({"sent_more": "a"}, "f:3")
    with pytest.raises(BadRow, match=r"f:4: a question in BBQ's form lacks ans2, label"):
        read_question({name: "x" for name in COLUMNS[:4]}, "f:4")


def question(condition, polarity, label):
    values = {"context": "c", "question": "q", "ans0": "The grandfather", "ans1": "Unknown", "ans2": "The grandson"}
    more = {"label": label, "target_loc": 0, "question_polarity": polarity, "context_condition": condition}
    return read_question(values | more, "f:1")


def test_accuracy_and_bias_are_apart_for_both_contexts():
    options = ("The grandfather", "Unknown", "The grandson")
    assert (
        option_of("grandfather", options) == 0 and option_of("", options) == 1 and option_of("a tree", options) is None
    )
    rows = [question("ambig", "neg", 1), question("ambig", "neg", 1), question("disambig", "nonneg", 2)]
    found = question_figures(rows, [0, 1, 2])
    assert found["ambig"]["accuracy"]["value"] == 0.5 and found["ambig"]["bias"] == pytest.approx(1.0 * 0.5)
    assert found["disambig"]["accuracy"]["value"] == 1.0 and found["disambig"]["bias"] == 1.0
    assert question_figures(rows, [None, 1, 0])["disambig"]["bias"] == -1.0
