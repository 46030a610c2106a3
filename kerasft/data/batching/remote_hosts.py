"""Batches for the devices of other machines, which this process drives: the hosts of a TPU slice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

HERE = "/job:localhost/device:CPU:0"  # this process, as TensorFlow names it once it has connected to others


def remote_hosts(strategy: tf.distribute.Strategy) -> tuple[str, ...]:
    """The host of each replica's device, as TensorFlow's name of its CPU; () where this process has the devices."""
    if not isinstance(strategy, (tf.distribute.TPUStrategy, tf.distribute.MirroredStrategy)):
        return ()  # of many workers, each has its own devices
    devices = [tf.DeviceSpec.from_string(device) for device in strategy.extended.worker_devices]
    if all(device.job in (None, "localhost") for device in devices):
        return ()
    return tuple(device.replace(device_type="CPU", device_index=0).to_string() for device in devices)


class SentBatches:
    """Batches that are made here and sent to the hosts of the replicas that need them.

    A tf.data pipeline that calls Python can't run on another machine, and the tokens of a batch are few bytes
    beside the sums of its gradients: this process makes the shares of all replicas and sends each where it is used.

    Args:
        shares: a replica's share of a batch each, replica after replica, all of one shape.
        hosts: of each replica; see `remote_hosts`.
        strategy: the batches are for.
    """

    def __init__(self, shares: tf.data.Dataset, hosts: tuple[str, ...], strategy: tf.distribute.Strategy):
        self._shares, self._hosts, self._strategy = iter(shares), hosts, strategy

    def __iter__(self) -> Iterator[Any]:
        """The batches one by one, each a tree of PerReplica."""
        return self

    def __next__(self) -> Any:
        return self._distribute(self._next_shares())

    def take(self, count: int) -> Any:
        """The next batches in one: every tensor has a first dimension more, of as many as were asked for."""
        batches = [self._next_shares() for _ in range(count)]
        with tf.device(HERE):
            stacked = [
                tf.nest.map_structure(lambda *parts: tf.stack(parts), *(batch[replica] for batch in batches))
                for replica in range(len(self._hosts))
            ]
        return self._distribute(stacked)

    def _next_shares(self) -> list[Any]:
        shares = list(itertools.islice(self._shares, len(self._hosts)))
        if not shares:
            raise StopIteration
        return shares

    def _distribute(self, shares: list[Any]) -> Any:
        def received(context: tf.distribute.experimental.ValueContext) -> Any:
            replica = context.replica_id_in_sync_group
            with tf.device(self._hosts[replica]):
                return tf.nest.map_structure(tf.identity, shares[replica])

        return self._strategy.experimental_distribute_values_from_function(received)


def sent_batch(batches: Any, index: tf.Tensor, hosts: Sequence[str]) -> Any:
    """One of the batches that `SentBatches.take` gave; inside a tf.function, each part is cut on the host it is on."""
    host_of_part = itertools.cycle(hosts)  # a PerReplica is, as flat tensors, its values replica after replica

    def cut(part: tf.Tensor) -> tf.Tensor:
        with tf.device(next(host_of_part)):
            return part[index]

    return tf.nest.map_structure(cut, batches, expand_composites=True)
