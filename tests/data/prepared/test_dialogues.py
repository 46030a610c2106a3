"""Rows of dialogues: which token is said where, that no turn is cut, and what has no room."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerasft.data.prepared.dialogues import Turn, dialogue_rows
from kerasft.data.prepared.prepared import NO_TARGET

NONE = np.empty(0, np.int32)
END = 7  # behind each turn


def user(*ids):
    return Turn(np.array([1, *ids]), NONE, np.array([END]))


def answer(*ids):
    return Turn(np.array([2]), np.array(ids), np.array([END]))


def rows(turns, leading=0, prefix=(), max_length=99):
    found, lost = dialogue_rows(turns, leading, np.array(prefix, np.int32), max_length)
    return [row.T.tolist() for row in found], lost


_ = NO_TARGET


def test_answers_are_said_and_nothing_else():
    found = rows([user(10, 11), answer(20, 21), user(12), answer(22), user(13)], prefix=[9])
    read = [9, 1, 10, 11, END, 2, 20, 21, END, 1, 12, END, 2]
    said = [_, _, _, _, _, 20, 21, _, _, _, _, _, 22]
    assert found == ([[read, said]], 0)


def test_a_row_that_is_full_ends_with_an_answer_and_the_next_begins_with_its_question():
    system = Turn(np.array([3]), NONE, np.array([END]))
    turns = [system, user(10), answer(20), user(11), answer(21)]
    first = [[3, END, 1, 10, END, 2], [_, _, _, _, _, 20]]
    second = [[3, END, 1, 11, END, 2], [_, _, _, _, _, 21]]
    assert rows(turns, leading=1, max_length=11) == ([first, second], 0)
    assert len(rows(turns, leading=1, max_length=12)[0]) == 1
    short = [[1, 10, END, 2], [_, _, _, 20]], [[1, 11, END, 2], [_, _, _, 21]]
    assert rows(turns, leading=1, max_length=5) == ([*short], 0)


def test_first_turns_are_left_out_before_the_last_one_and_an_answer_without_room_is_not_learnt():
    turns = [user(10), user(11), answer(20), user(12), answer(*range(20, 30)), user(13), answer(23)]
    assert rows(turns, max_length=7)[0][0][0][:2] == [1, 10]
    found, lost = rows(turns, max_length=5)
    assert found == [[[1, 11, END, 2], [_, _, _, 20]], [[1, 13, END, 2], [_, _, _, 23]]] and lost == 1
    assert rows([user(1), user(2)]) == ([], 0)
    assert rows([answer(20, 21)], max_length=2) == ([[[2, 20], [20, 21]]], 0)


@st.composite
def dialogues(draw):
    """Turns whose ids tell where they come from: 1000 * turn + place."""
    turns = []
    for number in range(draw(st.integers(0, 7))):
        sizes = draw(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(0, 2)))
        ids = np.arange(1000 * number, 1000 * number + sum(sizes))
        read, said, after = np.split(ids, np.cumsum(sizes)[:-1])
        learnt = draw(st.booleans())
        turns.append(Turn(read if learnt else np.concatenate([read, said]), said if learnt else NONE, after))
    leading = int(bool(turns) and not len(turns[0].target) and draw(st.booleans()))
    return turns, leading


@given(dialogues(), st.integers(0, 1), st.integers(4, 40))
def test_each_token_of_an_answer_is_said_once_from_whole_turns_before_it(drawn, begins, max_length):
    turns, leading = drawn
    prefix = np.full(begins, 10**6, np.int32)
    found, lost = dialogue_rows(turns, leading, prefix, max_length)
    said = [token for row in found for token in row[row[:, 1] != NO_TARGET, 1]]
    answers = [turn.target.tolist() for turn in turns if len(turn.target)]
    whole = [tokens for tokens in answers if tokens[0] in said]
    assert said == [token for tokens in whole for token in tokens]  # in order, none twice, none by halves
    assert len(answers) - len(whole) == lost
    order = np.concatenate([[10**6] * begins, *(part for turn in turns for part in turn[:3]), []]).tolist()
    for row in found:
        assert len(row) <= max_length and (row[:1, 0] == 10**6).all() == bool(begins) or not begins
        ids = [*row[:, 0], row[-1, 1]]  # all that stands in the row
        assert ids == sorted(ids, key=order.index)
        np.testing.assert_array_equal(row[:-1, 1][row[:-1, 1] != NO_TARGET], row[1:, 0][row[:-1, 1] != NO_TARGET])
        inside = set(ids)
        for turn in turns:
            parts = np.concatenate(turn[:3]).tolist()
            there = [token in inside for token in parts]
            last = ids[-1] in parts
            assert all(there) or not any(there) or (last and all(there[: len(parts) - len(turn.after)]))
        assert row[-1, 1] != NO_TARGET and (row[:, 1] != NO_TARGET).any()
