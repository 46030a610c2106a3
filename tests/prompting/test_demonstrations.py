"""Which rows of train stand in a prompt."""

import pytest

from kerasft.config.load import read_config
from kerasft.config.prompting import answers_untrained
from kerasft.errors import UserError, UserErrors
from kerasft.prompting.demonstrations import Example, ordered

ROWS = [Example((f"text {number}",), "rare" if number == 7 else "often") for number in range(12)]


def test_examples_are_of_each_label_in_turn_and_the_same_in_any_order():
    chosen = ordered(ROWS, 4, balanced=True, draw=(0, 0))
    assert {row.label for row in chosen[:2]} == {"rare", "often"}
    assert ordered(ROWS[::-1], 4, balanced=True, draw=(0, 0)) == chosen
    assert ordered(ROWS, 4, balanced=True, draw=(1, 0)) != chosen
    assert ordered(ROWS, 3, balanced=True, draw=(0, 0)) == chosen[:3]
    assert set(ordered(ROWS, 12, balanced=False, draw=(0, 0))) == set(ROWS)
    with pytest.raises(UserError, match="demonstrations: 13, but data.train has 12 different rows"):
        ordered(ROWS, 13, balanced=False, draw=(0, 0))


def test_examples_are_for_decoders_and_of_train():
    values = {
        "name": "n",
        "task": {"name": "text_classification", "labels": ["a", "b"]},
        "model": {"preset": "x"},
        "data": {"train": "train.csv", "columns": {"text": "text", "label": "label"}},
        "prompting": {"method": "causal_lm", "demonstrations": 4},
    }
    assert answers_untrained(read_config(values))
    for section, key, value, fault in (
        ("prompting", "method", "embedding", "demonstrations: 4 are for method causal_lm"),
        ("prompting", "demonstrations", 0, "causal_lm answers without training"),
        ("data", "train", [], "are rows of data.train, which is missing"),
        ("prompting", "temperature", 0.1, "temperature: 0.1 is for method embedding, not causal_lm"),
        ("prompting", "content_free", ["?"], "content_free: is for calibration content_free, not none"),
        ("data", "shots", 20, "are rows to train on, and nothing is trained"),
    ):
        with pytest.raises(UserErrors, match=fault):
            read_config({**values, section: {**values[section], key: value}})
