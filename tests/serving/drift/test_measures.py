"""Each row of an answer falls into the bins that a person would put it in."""

import numpy as np
import pytest

from kerasft.serving.drift import measures
from kerasft.serving.drift.measures import (
    NONE,
    OTHER,
    Bins,
    answer_rows,
    choose_bins,
    method_rows,
    plain_bins,
    text_rows,
)

LABELS = ["sport", "trade"]


def strings(*values):
    return np.array([value.encode() for value in values], object)


def test_labels_have_a_bin_each_and_none_and_others_too():
    bins = choose_bins("label", [("trade",), ("sport", "trade"), ()])
    assert bins.names == ["sport", "trade", NONE, OTHER] and len(bins) == 4
    assert bins.places([("trade",), (), ("x",), ("sport", "sport")]) == [(1,), (2,), (3,), (0, 0)]


def test_labels_beyond_the_most_frequent_are_together():
    rows = [(f"label {i}",) for i in range(300)] + [("label 299",)] * 5
    bins = choose_bins("label", rows)
    assert len(bins) == measures.MOST_LABELS + 2 and "label 299" in bins.labels


def test_numbers_fall_between_edges():
    bins = plain_bins(None)["unknown_share"]
    assert len(bins.names) == len(bins) == 8
    assert bins.places([(0.0,), (0.01,), (0.7,), ()]) == [(0,), (2,), (7,), ()]
    assert bins.names[0] == "below 1e-09" and bins.names[-1] == "from 0.5"


def test_a_predicted_number_is_cut_at_the_deciles_of_the_reference():
    bins = choose_bins("value", [(float(i),) for i in range(101)])
    assert bins.edges == pytest.approx(range(10, 100, 10))
    assert choose_bins("value", [()]) is None and "value" not in plain_bins(LABELS)
    assert len(choose_bins("value", [(2.0,)] * 5)) == 2  # one value for all


def test_bins_survive_json():
    for bins in plain_bins(LABELS).values():
        assert Bins.of_json(bins.as_json()) == bins


def test_the_answers_of_the_tasks():
    score = np.float32([0.5, 0.9])
    one = answer_rows({"label": strings("sport", "trade"), "score": score}, LABELS)
    assert one["label"] == [("sport",), ("trade",)] and one["confidence"] == [(0.5,), (pytest.approx(0.9),)]
    unmarked = answer_rows({"relation": strings("", "Beats"), "score": score}, ["Beats"])
    assert unmarked["label"] == [(), ("Beats",)]
    chosen = np.int32([[1, 1], [0, 0]])
    several = answer_rows({"label": strings("sport", "sport"), "score": score, "chosen": chosen}, LABELS)
    assert several["label"] == [("sport", "trade"), ()]
    entities = {
        "types": np.array([[b"person", b""], [b"place", b"person"]], object),
        "scores": np.float32([[0.5, 0], [0.25, 0.75]]), "count": np.int64([1, 2]),
    }  # fmt: skip
    assert answer_rows(entities, None) == {
        "label": [("person",), ("place", "person")], "confidence": [(0.5,), (0.25, 0.75)],
    }  # fmt: skip
    asked = answer_rows({"answer": strings("a", ""), "start": np.int32([3, -1]), "score": score}, None)
    assert asked["label"] == [("answered",), ()]
    assert answer_rows({"value": np.float32([1.5, np.nan])}, None) == {"value": [(1.5,), ()]}
    assert answer_rows({"embedding": np.zeros((2, 3))}, None) == answer_rows({"text": strings("a")}, None) == {}


def test_a_row_of_many_entities_counts_as_fifty():
    many = {"types": np.full((1, 80), b"a", object), "scores": np.zeros((1, 80)), "count": np.int64([80])}
    assert len(answer_rows(many, None)["label"][0]) == 50


def test_classify_and_regress_say_what_predict_says():
    outputs = {
        "classes": np.array([[b"sport", b"trade"]] * 3, object),
        "scores": np.float32([[0.6, 0.7], [0.1, 0], [0, 0]]),
    }
    assert method_rows(outputs, {})["label"] == [("trade",), ("sport",), ()]
    assert method_rows(outputs, {"thresholds": [0.5, 0.7]})["label"] == [("sport", "trade"), (), ()]
    assert method_rows(outputs, {"threshold": 0.5}) == {}  # what is out of scope is decided by more than scores
    assert method_rows({"outputs": np.float32([[2.0], [3.0]])}, {}) == {"value": [(2.0,), (3.0,)]}


def test_texts():
    found = text_rows({"tokens": np.int32([4, 0]), "unknown": np.int32([1, 0])})
    assert found == {"tokens": [(4.0,), (0.0,)], "unknown_share": [(0.25,), (0.0,)]}
    assert set(text_rows({"tokens": np.int32([4])})) == {"tokens"}  # a byte-level tokenizer
