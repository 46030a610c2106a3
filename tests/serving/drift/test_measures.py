"""Each row of an answer falls into the bins that a person would put it in."""

import numpy as np
import pytest

from kerasft.serving.drift import measures
from kerasft.serving.drift.measures import (
    NONE,
    OTHER,
    Bins,
    choose_bins,
    plain_bins,
    text_rows,
)

LABELS = ["sport", "trade"]


def test_labels_have_a_bin_each_and_none_and_others_too():
    bins = choose_bins("label", [("trade",), ("sport", "trade"), ()])
    assert bins.names == ["sport", "trade", NONE, OTHER] and len(bins) == 4
    assert bins.indices([("trade",), (), ("x",), ("sport", "sport")]) == [(1,), (2,), (3,), (0, 0)]


def test_labels_beyond_the_most_frequent_are_together():
    rows = [(f"label {i}",) for i in range(300)] + [("label 299",)] * 5
    bins = choose_bins("label", rows)
    assert len(bins) == measures.MOST_LABELS + 2 and "label 299" in bins.labels


def test_numbers_fall_between_edges():
    bins = plain_bins(None)["unknown_share"]
    assert len(bins.names) == len(bins) == 8
    assert bins.indices([(0.0,), (0.01,), (0.7,), ()]) == [(0,), (2,), (7,), ()]
    assert bins.names[0] == "below 1e-09" and bins.names[-1] == "from 0.5"


def test_a_predicted_number_is_cut_at_the_deciles_of_the_reference():
    bins = choose_bins("value", [(float(i),) for i in range(101)])
    assert bins.edges == pytest.approx(range(10, 100, 10))
    assert choose_bins("value", [()]) is None and "value" not in plain_bins(LABELS)
    assert len(choose_bins("value", [(2.0,)] * 5)) == 2  # one value for all


def test_bins_survive_json():
    for bins in plain_bins(LABELS).values():
        assert Bins.of_json(bins.as_json()) == bins


def test_texts():
    found = text_rows({"tokens": np.int32([4, 0]), "unknown": np.int32([1, 0])})
    assert found == {"tokens": [(4.0,), (0.0,)], "unknown_share": [(0.25,), (0.0,)]}
    assert set(text_rows({"tokens": np.int32([4])})) == {"tokens"}  # a byte-level tokenizer
