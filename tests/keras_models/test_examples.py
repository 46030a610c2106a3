"""What a model is given: the share that is held back."""

from types import SimpleNamespace

import pytest

from kerasft.errors import UserError
from kerasft.keras_models.examples import split

MODEL = SimpleNamespace(text_columns=["text"])


def test_the_last_share_is_held_back():
    *first, held = split(MODEL, (["a", "b", "c", "d"], [0, 1, 0, 1]), 0.25)
    assert first == [{"text": ["a", "b", "c"]}, [0, 1, 0], None]
    assert held == ({"text": ["d"]}, [1], None)


def test_weights_are_held_back_with_their_texts():
    *first, held = split(MODEL, (["a", "b"], None, [0.5, 2.0]), 0.5)
    assert first[2] == [0.5] and held[2] == [2.0]


@pytest.mark.parametrize("share", [1.0, -0.5])
def test_a_share_that_is_none_is_told(share):
    with pytest.raises(UserError, match="between 0 and 1"):
        split(MODEL, (["a", "b"], None), share)


def test_answers_in_columns_are_held_back_row_by_row():
    model = SimpleNamespace(text_columns=["question", "context"])
    answers = {"text": [["a"], ["b"]], "answer_start": [[0], [1]]}
    _, first, _, (_, held, _) = split(model, ((["q", "r"], ["a", "b"]), answers), 0.5)
    assert first == {"text": [["a"]], "answer_start": [[0]]} and held == {"text": [["b"]], "answer_start": [[1]]}
