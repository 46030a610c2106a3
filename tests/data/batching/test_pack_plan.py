"""Plans of shared rows: nothing overlaps, nothing is lost, and the same lengths give the same plan."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerasft.data.batching.batching import epoch_batches, pad_rows
from kerasft.data.batching.pack_plan import OFFSET, ROW, Packing, RowShape, best_shape, place

TEXTS = st.lists(st.lists(st.integers(0, 60), min_size=12, max_size=12), min_size=1, max_size=5).map(np.array)
LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=120).map(np.asarray)


def check(lengths, rows, offsets, shape: RowShape) -> None:
    """Each token of one device's texts has a slot of its own within the rows."""
    taken = np.zeros((shape.rows, shape.length), int)
    for length, row, offset in zip(lengths, rows, offsets):
        assert (row == -1) == (length == 0)
        if length:
            assert 0 <= row < shape.rows and 0 <= offset and offset + length <= shape.length
            taken[row, offset : offset + length] += 1
    assert taken.max(initial=0) <= 1 and taken.sum() == lengths.sum()


@given(TEXTS, st.integers(60, 200))
def test_every_token_has_a_slot_of_its_own(lengths, row_length):
    rows, offsets = place(lengths, row_length)
    for texts, *plan in zip(lengths, rows, offsets):
        used = 1 + plan[0].max()
        check(texts, *plan, RowShape(used, row_length))
        # No two rows could be one, so that more than half of all they have is used.
        filled = np.bincount(plan[0][texts > 0], texts[texts > 0], minlength=used)
        assert (np.sort(filled)[:2].sum() > row_length) or used < 2
        alone = place(texts[None], row_length)  # whatever is planned beside it
        np.testing.assert_array_equal(plan, [found[0] for found in alone])


def test_long_texts_go_first_and_into_the_fullest_row():
    rows, offsets = place(np.array([[2, 6, 3, 0, 5, 4]]), 10)
    assert rows.tolist() == [[1, 0, 1, -1, 1, 0]] and offsets.tolist() == [[8, 0, 5, 0, 0, 6]]


def test_rows_longer_than_the_longest_text_are_taken_where_they_leave_less_empty():
    assert best_shape(np.array([[40] + [30] * 8]), 40) == RowShape(5, 64)
    assert best_shape(np.full((1, 9), 40), 40) == RowShape(9, 40)


@given(LENGTHS, st.integers(1, 16), st.integers(1, 3), st.integers(1, 2), st.booleans(), st.integers(0, 3))
def test_batches_of_a_run_fit_into_one_shape_however_they_are_shared(lengths, each, replicas, parts, pairs, seed):
    texts = np.stack([lengths, lengths[::-1]], 1) if pairs else lengths[:, None]
    size = each * replicas * parts
    epochs = [epoch_batches(texts.sum(1), size, "pack", seed, epoch) for epoch in range(2)]
    packing = Packing.of_one_shape(texts, epochs, size, replicas * parts)
    assert packing.shape.length >= lengths.max() and packing.shape.length % 8 == 0
    for rows in (rows for epoch in epochs for rows in epoch):
        dealt = packing.deal(pad_rows(rows, size), replicas * parts)
        assert sorted(dealt[dealt >= 0]) == sorted(rows) and len(dealt) == size
        for share in np.split(dealt, replicas):
            plan = packing.plan(share, parts)
            assert plan[ROW].shape == plan[OFFSET].shape == ((len(share), 2) if pairs else share.shape)
            for part, row, offset in zip(*(np.split(value, parts) for value in (share, plan[ROW], plan[OFFSET]))):
                check(packing.tokens(part).reshape(-1), row.reshape(-1), offset.reshape(-1), packing.shape)


def test_parts_of_a_batch_have_about_as_many_tokens():
    lengths = np.random.default_rng(0).integers(4, 128, (64, 1))
    shares = np.split(Packing(lengths).deal(np.arange(64), 4), 4)
    tokens = [lengths[share].sum() for share in shares]
    assert max(tokens) - min(tokens) < 0.05 * np.mean(tokens)


def test_short_texts_need_few_rows():
    lengths = np.minimum(np.random.default_rng(0).geometric(1 / 16, (3200, 1)), 64)
    epochs = [epoch_batches(lengths[:, 0], 32, "pack", 0, epoch) for epoch in range(3)]
    packing = Packing.of_one_shape(lengths, epochs, 32, 1)
    assert lengths.mean() * 32 < packing.shape.rows * packing.shape.length < 1.2 * lengths.mean() * 32
