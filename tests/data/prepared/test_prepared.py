"""Batches of prepared rows are padded as little as their device likes."""

import numpy as np
import pytest
import tensorflow as tf

from kerasft.data.prepared.prepared import Prepared


def rows_of(*lengths: int) -> Prepared:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    nothing = np.zeros(len(lengths), np.float32)
    ids = {"token_ids": np.arange(1, offsets[-1] + 1)}
    return Prepared(ids, offsets, np.array(lengths), nothing, nothing + 1, {"token_ids": 0}, longest=22)


@pytest.mark.parametrize("longest, on_cpu, on_gpu", [(1, 1, 8), (9, 9, 16), (16, 16, 16), (21, 21, 22)])
def test_rows_are_padded_to_a_length_that_the_device_likes(longest, on_cpu, on_gpu, monkeypatch):
    prepared = rows_of(1, longest)
    assert prepared.batch(np.array([0, 1]))[0]["token_ids"].shape == (2, on_cpu)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["one"] if kind == "GPU" else [])
    assert prepared.batch(np.array([0, 1]))[0]["token_ids"].shape == (2, on_gpu)


def test_where_one_shape_is_wanted_rows_are_as_long_as_can_be():
    assert rows_of(1, 3).batch(np.array([0, 1]), static=True)[0]["token_ids"].shape == (2, 22)


def test_tokens_stand_before_the_padding():
    np.testing.assert_array_equal(rows_of(1, 3).batch(np.array([1, 0]))[0]["token_ids"], [[2, 3, 4], [1, 0, 0]])
