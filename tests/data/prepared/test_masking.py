"""Masking: a pure function of (seed, step, row), at the rate that was asked, of ordinary tokens alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.data.prepared.masking import LONGEST_WORD, Masking

VOCABULARY, MASK = 200, 4
ORDINARY = np.arange(VOCABULARY) >= 5


def masking(probability=0.15, whole_word=False, seed=0) -> Masking:
    return Masking(probability, whole_word, MASK, ORDINARY, seed)


def row(length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """[CLS], words of one to four pieces with some separators between them, [SEP]."""
    random = np.random.default_rng(seed)
    ids = random.integers(5, VOCABULARY, length)
    ids[random.random(length) < 0.05] = 3
    ids[0], ids[-1] = 2, 3
    return ids.astype(np.int32), random.random(length) < 0.5


ROWS = st.builds(row, st.integers(2, 128), st.integers(0, 1000))


@given(ROWS, st.booleans(), st.floats(0.01, 0.9), st.integers(0, 9), st.none() | st.integers(0, 10**6))
def test_special_tokens_stay_and_the_same_call_hides_the_same(made, whole_word, probability, number, step):
    ids, opens = made
    drawn = masking(probability, whole_word).draw(ids, opens, step, number)
    positions, shown = drawn
    assert (np.diff(positions) > 0).all()
    assert ORDINARY[ids[positions]].all() and (ORDINARY[shown] | (shown == MASK)).all()
    assert len(positions) <= masking(probability, whole_word).most(len(ids))
    for one, other in zip(drawn, masking(probability, whole_word).draw(ids, opens, step, number)):
        np.testing.assert_array_equal(one, other)


def test_steps_rows_seeds_and_the_measurement_differ():
    ids, opens = row(128)
    calls = [(0, None, 0), (0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)]
    found = {tuple(masking(seed=seed).draw(ids, opens, step, number)[0]) for seed, step, number in calls}
    assert len(found) == len(calls)


@pytest.mark.parametrize("whole_word", [False, True])
@pytest.mark.parametrize("length", [6, 15, 128])
def test_the_expected_rate_is_the_one_asked_for(whole_word, length):
    ids, opens = row(length, seed=length)
    ordinary = int(ORDINARY[ids].sum())
    counts = [len(masking(0.15, whole_word).draw(ids, opens, step, 0)[0]) for step in range(4000)]
    error = np.std(counts) / np.sqrt(len(counts))
    assert abs(np.mean(counts) - 0.15 * ordinary) < 4 * error + 1e-9


def test_every_token_is_as_likely_as_another():
    ids, opens = np.arange(5, 45).astype(np.int32), np.ones(40, bool)
    hits = np.zeros(40)
    for step in range(4000):
        hits[masking().draw(ids, opens, step, 0)[0]] += 1
    spread = np.sqrt(4000 * 0.15 * 0.85)
    assert np.abs(hits - 600).max() < 5 * spread


def test_eighty_ten_ten():
    ids, opens = row(128)
    kinds = np.zeros(3)
    for step in range(2000):
        positions, shown = masking().draw(ids, opens, step, 0)
        true = ids[positions]
        kinds += (shown == MASK).sum(), ((shown != MASK) & (shown != true)).sum(), (shown == true).sum()
    share = kinds / kinds.sum()
    np.testing.assert_allclose(share, [0.8, 0.1, 0.1], atol=0.01)


@given(ROWS, st.integers(0, 50))
def test_words_are_hidden_whole_or_not_at_all(made, step):
    ids, opens = made
    opens[np.arange(len(ids)) % LONGEST_WORD == 0] = True  # no longer words
    positions, _ = masking(0.3, whole_word=True).draw(ids, opens, step, 0)
    special = ~ORDINARY[ids]
    word = np.cumsum(opens | special | np.concatenate([[True], special[:-1]]))
    hidden = np.isin(np.arange(len(ids)), positions)
    for number in np.unique(word[~special]):
        assert len(set(hidden[(word == number) & ~special])) == 1


def test_a_very_long_word_goes_in_parts():
    ids, opens = np.full(100, 7, np.int32), np.zeros(100, bool)
    for step in range(50):
        positions, _ = masking(0.15, whole_word=True).draw(ids, opens, step, 0)
        assert 0 < len(positions) <= masking(0.15, whole_word=True).most(100)
        assert set(np.bincount(positions // LONGEST_WORD)) <= {0, 4, LONGEST_WORD}
