import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared
from kerasft.evaluation.evaluate import Evaluator


def ids_split(rows: int) -> Prepared:
    """Row i is the token i+1, repeated a different number of times."""
    lengths = np.random.default_rng(0).integers(1, 9, rows)
    tokens = np.repeat(np.arange(1, rows + 1), lengths).astype(np.int32)
    return Prepared(
        features={"token_ids": tokens},
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        full_lengths=lengths,
        targets=np.zeros(rows, np.int32),
        weights=np.ones(rows, np.float32),
        pad_values={"token_ids": 0},
        longest=8,
    )


def first_token_model() -> keras.Model:
    tokens = keras.Input((None,), dtype="int32", name="token_ids")
    return keras.Model({"token_ids": tokens}, keras.ops.cast(tokens[:, :1], "float32"))


@pytest.mark.parametrize("replicas, microbatches", [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("rows", [1, 2, 7, 64, 65])
def test_every_row_is_answered_once_and_in_order(replicas, microbatches, rows, mirrored):
    strategy = mirrored if replicas == 2 else tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        model = first_token_model()
    seen = []
    logits = Evaluator(model, strategy, 16, microbatches=microbatches).logits(ids_split(rows), seen.append)
    np.testing.assert_array_equal(logits[:, 0], np.arange(1, rows + 1))
    assert seen[-1] == rows
