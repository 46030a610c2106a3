"""A split of random tokens with two labels, and a config to train on it."""

import numpy as np
import pytest

from kerasft.config.schema import Config
from kerasft.data.prepared.prepared import Prepared

ROWS = 21


def config(data=None, **training) -> Config:
    return Config.model_validate(
        {
            "name": "t",
            "task": {"name": "text_classification"},
            "model": {"preset": "x", "max_length": 16},
            "data": {"train": "x", "columns": {"text": "text", "label": "label"}, **(data or {})},
            "training": {"batch_size": 4, "optimizer": {"learning_rate": 1e-2}, **training},
        }
    )


@pytest.fixture
def prepared(words) -> Prepared:
    lengths = words.integers(3, 16, ROWS)
    tokens = int(lengths.sum())
    return Prepared(
        features={
            "token_ids": words.integers(1, 100, tokens).astype(np.int32),
            "padding_mask": np.ones(tokens, bool),
            "segment_ids": np.zeros(tokens, np.int32),
        },
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        full_lengths=lengths,
        targets=words.integers(0, 2, ROWS).astype(np.int32),
        weights=np.ones(ROWS, np.float32),
        pad_values={"token_ids": 0, "padding_mask": 0, "segment_ids": 0},
        longest=16,
    )
