"""Any step can be the first, whether batches have so many rows or so many tokens."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerasft.data.batching.epochs import Epochs
from kerasft.data.batching.token_batches import TokenLimit

LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=200).map(np.asarray)
METHODS = st.sampled_from(["pad", "bucket", "pack"])
LIMITS = st.one_of(st.none(), st.integers(112, 600).map(lambda tokens: TokenLimit(tokens, 50, 2)))


@given(LENGTHS, st.integers(1, 40), METHODS, LIMITS, st.integers(0, 300))
def test_a_later_first_step_is_the_same_stream_cut_off(lengths, size, method, limit, first):
    whole = itertools.islice(Epochs(lengths, size, method, 3, limit).from_step(0), first, first + 4)
    for late, early in zip(Epochs(lengths, size, method, 3, limit).from_step(first), whole):
        np.testing.assert_array_equal(late, early)


@given(LENGTHS, st.integers(1, 40), METHODS, LIMITS)
def test_steps_are_known_before_the_first_and_epochs_end_where_every_row_was_seen(lengths, size, method, limit):
    epochs = Epochs(lengths, size, method, 3, limit)
    asked = Epochs(lengths, size, method, 3, limit)
    stream, step = epochs.from_step(0), 0
    for epoch in range(3):
        end = asked.end_after(step)
        assert asked.end_after(end - 1) == end == asked.steps_of(epoch + 1)
        rows = np.concatenate(list(itertools.islice(stream, end - step)))
        assert sorted(rows) == list(range(len(lengths)))
        assert step < asked.steps_of(epoch + 0.5) <= end
        step = end


def test_epochs_of_tokens_have_steps_of_their_own():
    lengths = np.random.default_rng(0).integers(1, 50, 300)
    epochs = Epochs(lengths, 1, "pad", 0, TokenLimit(400, 50))
    steps = [epochs.steps(epoch) for epoch in range(4)]
    assert len(set(steps)) > 1 and epochs.steps_of(4) == sum(steps)
