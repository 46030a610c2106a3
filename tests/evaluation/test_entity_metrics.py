"""Entity and token scores beside seqeval and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report as seqeval_report
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from sklearn.metrics import classification_report

from kerasft.data.prepared.spans import Spans
from kerasft.evaluation.entity_metrics import counts_by_text, entity_metrics, f1_of_counts, reachable
from kerasft.tasks.token_classification.tags import spans_of_tags

LABELS = ["X", "Y"]


def as_spans(rows):
    """IOB2 tags of texts whose token i stands at [10 i, 10 i + 5) -> the entities."""
    found = [spans_of_tags(row) for row in rows]
    places = [
        [[10 * first for first, _, _ in row] for row in found],
        [[10 * end - 5 for _, end, _ in row] for row in found],
    ]
    return Spans.of_rows(*places, [[LABELS.index(kind) for _, _, kind in row] for row in found])


def words_of(rows):
    starts = [[10 * place for place in range(len(row))] for row in rows]
    return Spans.of_rows(starts, [[start + 5 for start in row] for row in starts])


def well_formed(rows):
    """The same entities in IOB2 proper, which seqeval's strict mode reads as we do."""
    written = []
    for row in rows:
        written.append(["O"] * len(row))
        for first, end, kind in spans_of_tags(row):
            written[-1][first:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - first - 1)
    return written


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.integers(1, 8), min_size=1, max_size=6), data=st.data())
def test_scores_are_those_of_seqeval_and_scikit_learn(rows, data):
    same = [st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), min_size=n, max_size=n) for n in rows]
    true, answered = (well_formed([data.draw(row) for row in same]) for _ in range(2))
    gold, predicted, words = as_spans(true), as_spans(answered), words_of(true)
    found = entity_metrics(gold, predicted, words, words, LABELS, len(rows))
    assert found["unreachable"] == 0 and found["rows"] == len(rows)
    if not len(gold.texts) + len(predicted.texts):
        assert found["f1"] is None
        return
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    assert found["f1"] == pytest.approx(f1_score(true, answered, **strict))
    assert found["precision"] == pytest.approx(precision_score(true, answered, **strict))
    assert found["recall"] == pytest.approx(recall_score(true, answered, **strict))
    report = seqeval_report(true, answered, output_dict=True, **strict)
    for label in LABELS:
        if label in report:
            assert found["per_class"][label]["f1"] == pytest.approx(report[label]["f1-score"])
            assert found["per_class"][label]["support"] == report[label]["support"]
    assert f1_of_counts(counts_by_text(gold, predicted, len(rows))) == pytest.approx(found["f1"])

    flat = [[tag for row in each for tag in row] for each in (true, answered)]
    present = sorted({tag for each in flat for tag in each} - {"O"})
    theirs = classification_report(*flat, labels=present, output_dict=True, zero_division=0)
    token = found["token"]
    assert token["accuracy"] == pytest.approx(np.mean(np.array(flat[0]) == np.array(flat[1])))
    assert token["macro_f1"] == pytest.approx(theirs["macro avg"]["f1-score"])
    if len(gold.texts):
        assert token["weighted_f1"] == pytest.approx(theirs["weighted avg"]["f1-score"])
    for tag in present:
        assert token["per_class"][tag]["precision"] == pytest.approx(theirs[tag]["precision"])


def test_an_entity_inside_a_unit_is_unreachable_and_missed():
    gold = Spans.of_rows([[0, 20]], [[3, 25]], [[0, 1]])
    units = Spans.of_rows([[0, 10, 20]], [[5, 15, 25]])
    predicted = Spans.of_rows([[0, 20]], [[5, 25]], [[0, 1]])
    found = entity_metrics(gold, predicted, units, units, LABELS, 1)
    assert found["unreachable"] == 1
    assert found["f1"] == pytest.approx(0.5)
    assert found["token"]["accuracy"] == 1.0  # the token itself was tagged right


def test_a_full_stop_in_the_unit_puts_a_name_out_of_reach():
    gold = Spans.of_rows([[0, 10], [0]], [[4, 14], [4]], [[0, 0], [0]])
    units = Spans.of_rows([[0, 5, 10], [0]], [[4, 9, 15], [4]])
    assert reachable(gold, units).tolist() == [True, False, True]
