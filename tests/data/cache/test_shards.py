"""Arrays come back from shards as they were, or not at all."""

import numpy as np
import pytest

from kerasft.data.cache import shards


def test_arrays_of_all_forms_come_back(tmp_path):
    arrays = [
        np.broadcast_to(np.int32(1), (1000,)),
        np.arange(12, dtype=np.float64).reshape(3, 4).T,
        np.empty((0, 3), bool),
        np.array([True, False]),
        np.empty(0, np.int64),
    ]
    found = shards.write_arrays(str(tmp_path), arrays)
    assert sum(shard.bytes for shard in found) == 4 + 96 + 2
    for one, other in zip(arrays, shards.read_arrays(str(tmp_path), found, list(map(shards.Form.of, arrays)))):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_a_shard_that_is_not_what_was_written_is_told(tmp_path):
    array = np.arange(1000)
    (shard,) = shards.write_arrays(str(tmp_path), [array])
    with pytest.raises(shards.Damaged, match=shard.name):
        shards.read_arrays(str(tmp_path), [shard._replace(sha256="0" * 64)], [shards.Form.of(array)])
    with pytest.raises(shards.Damaged):
        shards.read_arrays(str(tmp_path), [shard], [shards.Form.of(np.arange(1001))])
    with pytest.raises(shards.Damaged):
        shards.read_arrays(str(tmp_path), [shard], [shards.Form.of(np.arange(999))])
