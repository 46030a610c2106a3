"""Samples for the report are drawn by the seed, in the order of the data, and not by how good they are."""

import numpy as np
from support.decoders import SPECS

from kerasft.config.text_generation import DecodingConfig
from kerasft.tasks.generation.written_texts import drawn_samples, request_numbers, text_rows


def test_samples_are_drawn_by_the_seed_alone():
    rows = [{"input": f"in {n}", "truth": f"out {n}", "text": "" if n % 2 else f"out {n}"} for n in range(40)]
    some = drawn_samples(rows, "input", 10, seed=3)
    places = [int(row["text"].removeprefix("in ")) for row in some]
    assert len(some) == 10 and places == sorted(set(places))
    worse = [row | {"text": "wrong"} for row in rows]
    assert [row["text"] for row in drawn_samples(worse, "input", 10, seed=3)] == [row["text"] for row in some]
    assert drawn_samples(rows, "input", 10, seed=4) != some
    assert len(drawn_samples(rows, "input", 99, seed=3)) == 40


def test_a_request_has_the_numbers_that_a_generator_takes():
    numbers = request_numbers(DecodingConfig(max_new_tokens=9, temperature=0.5))["generate"]
    assert {name: number.dtype for name, number in numbers.items()} == {k: kind.name for k, kind in SPECS.items()}
    assert numbers["max_new_tokens"].values[0] == 9 and numbers["temperature"].values[0] == 0.5


def test_answers_are_text():
    outputs = {"text": np.array(["é".encode(), b""], object), "tokens": np.array([2, 0])}
    assert text_rows(outputs) == [{"text": "é", "tokens": 2}, {"text": "", "tokens": 0}]
