"""Figures of written texts beside the libraries called as their own documentation does, and by hand."""

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from kerasft.evaluation.text_scores import distinct, text_scores

WANTED = ["The cat sat on the mat.", "Paris is the capital of France", "yes"]
WRITTEN = ["A cat is sitting on the mat.", "Paris is the capital of France ", "no"]
words = st.text(alphabet="ab cd.", max_size=20)


def test_figures_by_hand():
    found = text_scores(["the cat", "a b"], ["the cat", "a c"])
    assert found["answers"] == 2 and found["exact_match"] == 0.5
    assert found["rouge_1"] == pytest.approx((1 + 0.5) / 2) and found["rouge_2"] == pytest.approx(0.5)
    assert found["distinct_1"] == 1.0 and found["distinct_2"] == 1.0
    assert text_scores(WANTED, WRITTEN)["exact_match"] == pytest.approx(1 / 3)


@settings(max_examples=25)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=4))
def test_agreement_with_the_libraries(pairs):
    wanted, written = map(list, zip(*pairs))
    found = text_scores(wanted, written)
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(written, [wanted]).score)
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(written, [wanted]).score)
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
    each = [scorer.score(one, other)["rougeL"].fmeasure for one, other in pairs]
    assert found["rouge_l"] == pytest.approx(sum(each) / len(each))


def test_signatures_say_what_was_done():
    found = text_scores(WANTED, WRITTEN)
    assert "tok:13a" in found["bleu_signature"] and f"version:{sacrebleu.__version__}" in found["chrf_signature"]
    chinese = text_scores(["今天天气很好。"], ["今天的天气很好。"])
    assert "tok:zh" in chinese["bleu_signature"] and chinese["bleu"] > 40
    assert "tok:char" in text_scores(["今日はとても良い天気です。"], ["今日は良い天気。"])["bleu_signature"]


def test_a_word_of_chinese_and_japanese_is_a_character():
    found = text_scores(["今天天气很好。"], ["今天天气好 ok"])
    assert found["rouge_1"] == pytest.approx(2 * 5 / (6 + 6)) and found["distinct_1"] == pytest.approx(5 / 6)
    assert text_scores(["すごい"], ["すごく"])["rouge_2"] == pytest.approx(0.5)


def test_distinct_runs_of_words():
    assert distinct(["a a b", "a"], 1) == 0.5 and distinct(["a b a b"], 2) == pytest.approx(2 / 3)
    assert distinct(["a", ""], 2) is None


def test_as_many_texts_as_references():
    with pytest.raises(ValueError):
        text_scores(["a"], ["a", "b"])
