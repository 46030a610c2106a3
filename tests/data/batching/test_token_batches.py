"""No batch over its limit, no row lost, and little room left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.data.batching.batching import pad_rows
from kerasft.data.batching.pack_plan import Packing, RowShape, place
from kerasft.data.batching.token_batches import TokenLimit, rows_needed, token_batches

LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=200).map(np.asarray)
METHODS = ["pad", "bucket", "pack"]


@st.composite
def limits(draw) -> TokenLimit:
    parts = draw(st.integers(1, 4))
    return TokenLimit(draw(st.integers(56 * parts, 900)), 50, parts)


def slots(lengths: np.ndarray, batch: np.ndarray, limit: TokenLimit, method: str) -> int:
    """Tokens of all rows that devices work on, as the pipeline makes them: filled up, dealt, padded."""
    filled = pad_rows(batch, limit.parts)
    if method != "pack":
        return len(filled) * min(-(-int(lengths[batch].max()) // 8) * 8, limit.longest)
    packing = Packing(lengths[:, None], RowShape(limit.packed_rows, limit.packed_length))
    shares = np.split(packing.deal(filled, limit.parts), limit.parts)
    rows = [packing.plan(share, 1)["pack_row"].max() + 1 for share in shares]
    return limit.parts * max(rows) * limit.packed_length


@given(LENGTHS, limits(), st.sampled_from(METHODS), st.integers(0, 5), st.integers(0, 5))
def test_every_row_is_in_one_batch_and_no_batch_is_over_the_limit(lengths, limit, method, seed, epoch):
    batches = token_batches(lengths, limit, method, seed, epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for batch in batches:
        assert 0 < slots(lengths, batch, limit, method) <= limit.tokens
    if method != "pack":  # where empty rows take no room
        assert sum(len(batch) % limit.parts > 0 for batch in batches) <= 1
    for mine, again in zip(batches, token_batches(lengths, limit, method, seed, epoch)):
        np.testing.assert_array_equal(mine, again)


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize(("method", "used"), [("pad", 0.5), ("bucket", 0.92), ("pack", 0.94)])
def test_batches_are_as_large_as_have_room(method, used, parts):
    lengths = np.random.default_rng(0).integers(4, 128, 5000)
    limit = TokenLimit(8192, 128, parts)
    batches = token_batches(lengths, limit, method, 0, 0)
    real = [lengths[batch].sum() for batch in batches]
    assert np.median(real) > used * limit.tokens
    assert sum(tokens < 0.7 * np.median(real) for tokens in real) == 1  # what was left


@pytest.mark.parametrize("method", METHODS)
def test_epochs_and_seeds_differ_and_lengths_come_in_no_order(method):
    lengths = np.random.default_rng(0).integers(4, 128, 5000)
    made = [token_batches(lengths, TokenLimit(2048, 128), method, *pair) for pair in [(0, 0), (0, 1), (1, 0)]]
    assert len({tuple(np.concatenate(batches).tolist()) for batches in made}) == 3
    means = [lengths[batch].mean() for batch in made[0]]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


@given(LENGTHS, st.integers(50, 150))
def test_rows_that_are_counted_are_those_that_are_opened(lengths, row_length):
    assert rows_needed(lengths, row_length) == place(lengths[None], row_length)[0].max() + 1
