"""Batches in which each text has others of its label."""

import numpy as np
import pytest

from kerasft.data.batching.epochs import Epochs, LabelGroups
from kerasft.data.batching.label_batches import label_batches
from kerasft.errors import UserError

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(7), [2, 3, 4, 5, 6, 8, 9]))


@pytest.mark.parametrize("group", [2, 4])
def test_every_row_is_in_one_batch_beside_another_of_its_label(group):
    batches = label_batches(LABELS, 8, group, seed=1, epoch=0)
    assert sorted(np.concatenate(batches)) == list(range(len(LABELS)))
    rows = np.concatenate(batches)
    beside = (LABELS[rows[1:]] == LABELS[rows[:-1]]).astype(int)
    assert (np.append(beside, 0) + np.insert(beside, 0, 0) > 0).all()


def test_no_whole_group_lies_across_the_edge_of_two_batches():
    for seed in range(5):
        batches = label_batches(LABELS, 8, 4, seed, epoch=0)
        assert [len(rows) for rows in batches] == [8, 8, 8, 8, 5]
        counts = [np.bincount(LABELS[rows], minlength=7) for rows in batches]
        assert sum(int((each // 4).sum()) for each in counts) >= sum(size // 4 for size in [2, 3, 4, 5, 6, 8, 9]) - 2


def test_the_batches_of_a_step_are_a_function_of_seed_and_step():
    epochs = Epochs(np.ones(len(LABELS), int), 8, "pad", 3, groups=LabelGroups(LABELS, 2))
    whole, later = epochs.from_step(0), epochs.from_step(7)
    rows = [next(whole) for _ in range(9)]
    for one in rows[7:]:
        np.testing.assert_array_equal(one, next(later))
    other = Epochs(np.ones(len(LABELS), int), 8, "pad", 4, groups=LabelGroups(LABELS, 2))
    assert any(not np.array_equal(one, two) for one, two in zip(rows, other.from_step(0)))


def test_a_label_of_one_row_has_no_pair():
    with pytest.raises(UserError, match="training.contrastive: 1 of 2 labels have one row"):
        label_batches(np.array([0, 0, 1]), 2, 2, 0, 0)
