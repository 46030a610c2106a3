"""Batches that do not fill their replicas."""

import numpy as np

from kerasft.data.batching.dataset import distribute
from kerasft.data.prepared.prepared import Prepared

LENGTHS = np.array([19, 3, 4])


def test_a_row_that_only_fills_up_may_be_longer_than_all_others(mirrored):
    tokens = int(LENGTHS.sum())
    prepared = Prepared(
        features={"token_ids": np.arange(1, tokens + 1, dtype=np.int32)},
        offsets=np.concatenate([[0], np.cumsum(LENGTHS)]),
        full_lengths=LENGTHS,
        targets=np.zeros(tokens, np.int32),
        weights=np.ones(len(LENGTHS), np.float32),
        pad_values={"token_ids": 0},
        longest=32,
        token_targets=True,
    )
    (batch,) = distribute(prepared, lambda: [np.array([1])], mirrored)
    features, _, weights = (mirrored.experimental_local_results(part) for part in (batch[0]["token_ids"], *batch[1:]))
    assert [tuple(part.shape) for part in features] == [(1, 19), (1, 19)]
    assert [part.numpy().tolist() for part in weights] == [[1.0], [0.0]]
