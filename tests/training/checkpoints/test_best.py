"""Which validation's weights are kept, and when a run stops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.config.early_stopping import EarlyStoppingConfig
from kerasft.training.checkpoints.best import BestRule
from kerasft.training.checkpoints.checkpoint import Progress

RISES, FALLS = BestRule("accuracy", falls=False), BestRule("perplexity", falls=True)


def kept(rule, validations):
    """The index of the validation whose weights are left at the end."""
    best, index = {}, None
    for number, (value, loss) in enumerate(validations):
        if rule.is_best(value, loss, best):
            best, index = {"value": value, "loss": loss}, number
    return index


@pytest.mark.parametrize(
    ("rule", "validations", "index"),
    [
        (RISES, [(1.0, 0.5), (1.0, 0.1), (1.0, 0.2)], 1),  # a tie goes to the lower loss
        (RISES, [(0.9, 0.1), (1.0, 0.5)], 1),  # the value comes first
        (RISES, [(1.0, 0.5), (0.9, 0.1)], 0),
        (FALLS, [(8.0, 2.0), (7.0, 2.1), (7.0, 2.0), (9.0, 1.0)], 2),
        (RISES, [(0.5, None), (0.5, 0.1)], 0),  # a loss that nobody knows decides nothing
        (RISES, [(None, 0.5), (None, 0.4), (None, 0.6)], 1),
        (RISES, [(None, 0.1), (0.0, 0.9), (None, 0.0)], 1),
        (RISES, [(None, None), (None, None)], 1),
    ],
)
def test_the_weights_that_are_kept(rule, validations, index):
    assert kept(rule, validations) == index


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.1, 0.2, 0.3])), min_size=1))
def test_the_best_value_is_kept_and_among_those_the_first_of_the_lowest_losses(validations):
    expected = max(range(len(validations)), key=lambda i: (validations[i][0], -validations[i][1], -i))
    assert kept(RISES, validations) == expected


def test_patience_counts_validations_in_which_the_value_is_not_better_by_enough():
    rule = BestRule("accuracy", False, EarlyStoppingConfig(metric="accuracy", patience=2, min_delta=0.1))
    assert rule.counts(0.5, None) and rule.counts(0.65, 0.5) and not rule.counts(0.55, 0.5)
    assert not rule.counts(None, 0.5)
    assert not rule.is_enough(1) and rule.is_enough(2)
    assert not RISES.is_enough(10**6)  # without early stopping a run goes to its last step
    assert RISES.counts(0.50001, 0.5) and not RISES.counts(0.5, 0.5)


def test_a_state_of_before_patience_had_a_value_of_its_own_goes_on_from_its_best():
    progress = Progress()
    progress.deserialize(b'{"best": {"step": 3, "value": 0.75, "state": {}}, "waited": 1}')
    assert (progress.counted, progress.waited) == (0.75, 1)
    assert RISES.is_best(0.8, 0.1, progress.best) and not RISES.is_best(0.75, 0.1, progress.best)
