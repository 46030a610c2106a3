"""Charts and the confusion matrix: what is drawn, how large it gets, and that it leaves no global state."""

import re

import matplotlib
import numpy as np
from matplotlib import pyplot

from kerasft.evaluation.report import plots
from kerasft.evaluation.report.confusion import confusion_svg, most_confused, shortened, text_width


def test_most_confused_pairs_by_hand():
    matrix = [[8, 2, 0], [5, 5, 0], [1, 0, 0]]
    assert most_confused(matrix, ["a", "b", "c"]) == [("b", "a", 5, 0.5), ("a", "b", 2, 0.2), ("c", "a", 1, 1.0)]
    assert most_confused(np.eye(3, dtype=int), ["a", "b", "c"]) == []


def test_confusion_matrix_draws_one_cell_a_count_and_adapts_to_the_number_of_classes():
    small = confusion_svg([[7, 1], [0, 3]], ["a", "b"])
    assert re.findall(r"<title>(.*?)</title>", small) == ["a → a: 7", "a → b: 1", "b → b: 3"]
    assert re.findall(r'text-anchor="middle" class="\w+">(\d+)<', small) == ["7", "1", "3"]
    assert small.count('class="right"') == 2 and small.count('class="wrong"') == 1
    for classes, labels_drawn in ((30, 60), (77, 77), (150, 0)):
        drawn = confusion_svg(np.eye(classes, dtype=int), [f"name{index}" for index in range(classes)])
        assert len(re.findall(r">name\d+</text>", drawn)) == labels_drawn


def test_labels_are_shortened_by_their_width():
    assert text_width("ab好") == 4
    assert shortened("short") == "short"
    assert shortened("x" * 40) == "x" * 23 + "…"
    assert shortened("好" * 40) == "好" * 11 + "…"


def test_long_histories_do_not_grow_the_page():
    rows = [{"step": step, "loss": 1.0, "learning_rate": 1e-4} for step in range(50_000)]
    assert len(plots.loss_curve(rows, None)) < 40_000
    assert len(plots.prediction_scatter([(0.0, 1.0)] * 50_000)) < 100_000


def test_plots_without_data_are_none():
    assert plots.loss_curve([], None) is None
    assert plots.validation_curve([{"step": 1, "validation": {"accuracy": 1.0}}], {"pearson": "Pearson"}, None) is None
    assert plots.reliability_diagram([]) is None
    assert plots.length_histogram([0, 1], [0], ("model.max_length", 128)) is None
    assert plots.prediction_scatter([]) is None


def test_plots_take_their_colours_from_the_page_and_leave_pyplot_alone():
    before = dict(matplotlib.rcParams)
    svg = plots.length_histogram([0, 10, 20], [5, 2], ("model.max_length", 128))
    assert "var(--accent)" in svg and "var(--error)" in svg and "model.max_length 128" in svg
    assert "<?xml" not in svg and "metadata" not in svg and "#04" not in svg
    assert dict(matplotlib.rcParams) == before and not pyplot.get_fignums()
