"""Figures of a sequence are those that one computes by hand."""

import pytest

from kerasft.continual.figures import figures, losers, lost

MATRIX = [[0.9], [0.7, 0.8], [0.8, 0.5, 0.6]]
SIZES = [10, 10, 20]


def test_the_figures_are_those_by_hand():
    found = figures(MATRIX, SIZES)
    last = (10 * 0.8 + 10 * 0.5 + 20 * 0.6) / 40
    assert found["final"] == pytest.approx(last)
    assert found["average_incremental"] == pytest.approx((0.9 + 0.75 + last) / 3)
    assert found["forgetting"] == pytest.approx(((0.9 - 0.8) + (0.8 - 0.5)) / 2)
    assert found["backward_transfer"] == pytest.approx(((0.8 - 0.9) + (0.5 - 0.8)) / 2)
    assert found["matrix"] == MATRIX


def test_what_was_measured_once_has_a_final_figure_alone():
    found = figures([[], [], [0.9, 0.8, 0.7]], SIZES)
    assert found["final"] == pytest.approx((9 + 8 + 14) / 40)
    assert [found[name] for name in ("average_incremental", "forgetting", "backward_transfer")] == [None] * 3


def test_one_stage_forgets_nothing():
    found = figures([[0.5]], [3])
    assert (found["final"], found["forgetting"]) == (0.5, None)
    assert lost([[0.5]]) == []


def test_what_was_lost_is_against_the_best_score_so_that_small_losses_add_up():
    assert lost(MATRIX) == pytest.approx([0.1, 0.3])
    slowly = [[0.9], [0.895, 0.8], [0.89, 0.8, 0.7]]
    assert lost(slowly) == pytest.approx([0.01, 0.0])
    assert losers(slowly, 0.01) == [] and losers(slowly, 0.009) == [0]


def test_of_a_figure_that_falls_more_is_lost():
    perplexities = [[20.0], [15.0, 30.0], [18.0, 25.0, 9.0]]
    assert lost(perplexities, falls=True) == pytest.approx([3.0, -5.0])
    assert losers(perplexities, 0.19, falls=True) == [0] and not losers(perplexities, 0.2, falls=True)  # a share
    found = figures(perplexities, SIZES, falls=True)
    assert found["forgetting"] == pytest.approx(-1.0) and found["backward_transfer"] == pytest.approx(3.5)


def test_a_last_row_that_is_not_whole_is_refused():
    with pytest.raises(ValueError, match="the last of 2 rows has 1 scores"):
        figures([[0.9], [0.7]], [1, 1])
