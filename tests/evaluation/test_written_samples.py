"""Rows that are written on: which, and where they are cut."""

from types import SimpleNamespace

import numpy as np

from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.evaluation.written_samples import answered, halves

BEGIN = 0
SPECIAL = np.arange(40) == BEGIN
# Each row: what is read; what is to be said is one further on.
ROWS = [[BEGIN, 1, 2, 3, 4, 5, 6, 7], [8, 9, BEGIN, 11, 12, 13, BEGIN, 15], [16], [17, 18, 19, 20, 21]]


def split():
    stream = [token for row in ROWS for token in row] + [BEGIN]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in ROWS])])
    return SimpleNamespace(
        features={"token_ids": np.array(stream[:-1])}, targets=np.array(stream[1:]), offsets=offsets,
        lengths=np.diff(offsets),
    )  # fmt: skip


def test_samples_are_halves_of_rows_within_one_document():
    found = [(sample.prompt.tolist(), sample.rest.tolist()) for sample in halves(split(), 9, 0, SPECIAL)]
    assert found == [([0, 1, 2, 3], [4, 5, 6, 7, 8]), ([0, 11], [12, 13]), ([17, 18], [19, 20, 21])]


def test_the_seed_chooses_and_nothing_else():
    chosen = [tuple(map(tuple, sample)) for sample in halves(split(), 2, 1, SPECIAL)]
    assert len(chosen) == 2 and chosen == [tuple(map(tuple, sample)) for sample in halves(split(), 2, 1, SPECIAL)]
    every = {tuple(sample.prompt) for seed in range(9) for sample in halves(split(), 1, seed, SPECIAL)}
    assert len(every) == 3


def test_samples_of_answers_are_prompts_with_what_is_to_be_said():
    stream = [5, 6, 7, 8, 9, 11, 12, 13]  # 5 6 7 -> 8 9; 11 -> nothing but its end; 12 -> 13, cut before its end
    said = [NO_TARGET, NO_TARGET, 8, 9, BEGIN, BEGIN, 13, 14]
    offsets = np.array([0, 5, 6, 8])
    rows = SimpleNamespace(
        features={"token_ids": np.array(stream)}, targets=np.array(said), offsets=offsets, lengths=np.diff(offsets)
    )
    found = [(sample.prompt.tolist(), sample.rest.tolist()) for sample in answered(rows, 9, 0, SPECIAL)]
    assert found == [([5, 6, 7], [8, 9]), ([11], []), ([12], [13, 14])]
    assert len(answered(rows, 2, 3, SPECIAL)) == 2
