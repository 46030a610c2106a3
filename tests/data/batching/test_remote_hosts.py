"""Batches that this process makes for the devices of other machines; here all are its own two logical CPUs.

What is sent to another process is tested in tests/distributed (an imitated slice).
"""

import numpy as np
import pytest
import tensorflow as tf

from kerasft.data.batching.remote_hosts import HERE, SentBatches, remote_hosts, sent_batch
from kerasft.distribution.strategy import mirrored_over

HOSTS = (HERE, HERE)


@pytest.fixture
def strategy():
    return mirrored_over(("/cpu:0", "/cpu:1"))


def shares(batches):
    """Of two replicas, one after the other: of batch b, replica 0 has b and replica 1 has b + 100."""
    rows = [[[batch], [batch + 100]] for batch in range(batches)]
    flat = np.array(rows, np.int32).reshape(2 * batches, 1)
    return tf.data.Dataset.from_tensor_slices(({"ids": flat}, flat * 2))


def values(strategy, tree):
    """Replica after replica: its ids and its targets."""
    features, targets = tree
    return [
        (ids.numpy().tolist(), target.numpy().tolist())
        for ids, target in zip(*(strategy.experimental_local_results(part) for part in (features["ids"], targets)))
    ]


class Driven(tf.distribute.MirroredStrategy):
    """As much of a strategy as is looked at, with devices of other machines."""

    extended = property(lambda self: self)

    def __init__(self, *devices):
        self.worker_devices = devices


def test_every_replica_gets_its_own_share(strategy):
    batches = list(SentBatches(shares(2), HOSTS, strategy))
    assert [values(strategy, batch) for batch in batches] == [
        [([0], [0]), ([100], [200])],
        [([1], [2]), ([101], [202])],
    ]


def test_batches_that_are_taken_together_are_those_that_come_one_by_one(strategy):
    sent = SentBatches(shares(5), HOSTS, strategy)
    taken = sent.take(3)

    @tf.function
    def summed(taken, index):
        features, targets = sent_batch(taken, index, HOSTS)
        return strategy.run(lambda ids, target: tf.concat([ids, target], 0), args=(features["ids"], targets))

    for index in range(3):
        found = strategy.experimental_local_results(summed(taken, tf.constant(index)))
        assert [part.numpy().tolist() for part in found] == [[index, 2 * index], [index + 100, 2 * index + 200]]
    assert values(strategy, next(sent)) == [([3], [6]), ([103], [206])]


def test_only_devices_of_other_machines_are_sent_batches(strategy):
    assert remote_hosts(strategy) == remote_hosts(tf.distribute.get_strategy()) == ()
    chips = [f"/job:worker/replica:0/task:{task}/device:TPU:{chip}" for task in (0, 1) for chip in (0, 1)]
    hosts = [f"/job:worker/replica:0/task:{task}/device:CPU:0" for task in (0, 0, 1, 1)]
    assert remote_hosts(Driven(*chips)) == tuple(hosts)
    assert remote_hosts(Driven("/job:localhost/replica:0/task:0/device:TPU:0")) == ()
