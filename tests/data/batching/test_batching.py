import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.data.batching.batching import epoch_batches, pad_rows, sorted_batches, steps_per_epoch

LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=300).map(np.asarray)
METHODS = st.sampled_from(["pad", "bucket", "pack"])


@given(LENGTHS, st.integers(1, 40), METHODS, st.integers(0, 5), st.integers(0, 5))
def test_every_row_is_in_exactly_one_batch_of_an_epoch(lengths, size, method, seed, epoch):
    batches = epoch_batches(lengths, size, method, seed, epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert len(batches) == steps_per_epoch(len(lengths), size)
    assert sum(len(batch) < size for batch in batches) <= 1


@pytest.mark.parametrize("method", ["pad", "bucket", "pack"])
def test_epochs_and_seeds_differ_and_repeat(method):
    lengths = np.arange(1, 200)

    def order(seed, epoch):
        return np.concatenate(epoch_batches(lengths, 8, method, seed, epoch)).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(*pair)) for pair in [(0, 0), (0, 1), (1, 0)]}) == 3


def test_bucket_pads_far_less_than_pad():
    lengths = np.random.default_rng(0).integers(4, 128, 5000)

    def padded(method):
        return sum(len(rows) * lengths[rows].max() for rows in epoch_batches(lengths, 32, method, 0, 0))

    assert padded("bucket") < 1.06 * lengths.sum()
    assert padded("pad") > 1.7 * lengths.sum()


def test_bucket_gives_batches_in_no_order_of_length():
    lengths = np.random.default_rng(0).integers(4, 128, 5000)
    means = [lengths[rows].mean() for rows in epoch_batches(lengths, 32, "bucket", 0, 0)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


def test_pack_gives_batches_of_like_many_tokens_and_any_rows_together():
    lengths = np.random.default_rng(0).geometric(0.05, 5000)
    batches = [rows for epoch in range(3) for rows in epoch_batches(lengths, 32, "pack", 0, epoch)]
    tokens = {
        method: [lengths[rows].sum() for rows in epoch_batches(lengths, 32, method, 0, 0)[:-1]]
        for method in ("pad", "pack")
    }
    assert np.std(tokens["pack"]) < 0.25 * np.std(tokens["pad"])
    whole = [rows for rows in batches if len(rows) == 32]
    assert [len(batches[i]) for i in (156, 313, 470)] == [8] * 3 and len(whole) == 3 * 156
    # Which row of like length it meets another in is drawn anew: of 31 others of an epoch few come again.
    together = [
        set(rows.tolist()) for epoch in range(3) for rows in batches[157 * epoch : 157 * epoch + 157] if 7 in rows
    ]
    assert len(set.intersection(*together)) < 4


@given(LENGTHS, st.integers(1, 40))
def test_sorted_batches_hold_every_row_the_longest_first(lengths, size):
    order = np.concatenate(sorted_batches(lengths, size))
    assert sorted(order) == list(range(len(lengths)))
    assert (np.diff(lengths[order]) <= 0).all()


@given(st.integers(1, 50), st.integers(1, 9))
def test_padded_rows_divide_and_only_add_what_counts_nothing(rows, parts):
    padded = pad_rows(np.arange(rows), parts)
    assert len(padded) % parts == 0 and len(padded) - rows < parts
    assert padded[:rows].tolist() == list(range(rows)) and (padded[rows:] == -1).all()
