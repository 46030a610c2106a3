"""Stands in for the hosts of a TPU slice: TensorFlow servers on this machine, whose CPUs take the chips' place.

The servers are those of tensorflow-tpu's `start_grpc_tpu_worker`, without a TPU: a job `tpu_worker` that knows no
other, until the process that drives them tells them of each other. What needs a chip is imitated, and only that: the
chips' initialisation, and TPUStrategy, for which a mirrored strategy over all hosts' CPUs does.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator


class Hosts:
    """Servers, each a fork of this process, which must have imported TensorFlow and not run an operation yet.

    Args:
        addresses: host:port of each.
        processes: that listen there.
    """

    def __init__(self, addresses: list[str], processes: list[int]):
        self.addresses, self.processes = addresses, processes

    @property
    def name(self) -> str:
        """What TPU_NAME says of them."""
        return ",".join(f"grpc://{address}" for address in self.addresses)

    def kill(self, number: int) -> None:
        os.kill(self.processes[number], signal.SIGKILL)
        os.waitpid(self.processes.pop(number), 0)


@contextlib.contextmanager
def serving_hosts(addresses: list[str]) -> Iterator[Hosts]:
    hosts = Hosts(addresses, [_serve(int(address.rpartition(":")[2])) for address in addresses])
    try:
        for address in addresses:
            while True:
                with contextlib.suppress(OSError):
                    host, _, port = address.rpartition(":")
                    socket.create_connection((host, int(port))).close()
                    break
                time.sleep(0.05)
        yield hosts
    finally:
        while hosts.processes:
            hosts.kill(0)


def imitate_slice(name: str) -> None:
    """In the process that trains, before it does: what TPU_NAME names is a TPU slice."""
    os.environ["TPU_NAME"] = name
    import tensorflow as tf
    from tensorflow.python.distribute import mirrored_strategy

    # TensorFlow refuses devices of several hosts here only for what sums over them; this way to sum them works.
    mirrored_strategy._is_device_list_single_worker = lambda devices: True

    def strategy(resolver: tf.distribute.cluster_resolver.TPUClusterResolver) -> tf.distribute.Strategy:
        tasks = resolver.cluster_spec().num_tasks("worker")
        devices = [f"/job:worker/replica:0/task:{task}/device:CPU:0" for task in range(tasks)]
        return tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice())

    tf.tpu.experimental.initialize_tpu_system = lambda resolver: None
    tf.distribute.TPUStrategy = _Called(strategy)


class _Called(type):
    """A class for isinstance, which no object is of, that is called like a function."""

    def __new__(cls, function):
        made = super().__new__(cls, "TPUStrategy", (), {})
        made.function = staticmethod(function)
        return made

    def __init__(cls, function):
        super().__init__("TPUStrategy", (), {})

    def __call__(cls, *args):
        return cls.function(*args)


def _serve(port: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # its disk is another machine's: what it writes is lost
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        from tensorflow.core.protobuf import tensorflow_server_pb2
        from tensorflow.python.training import server_lib

        definition = tensorflow_server_pb2.ServerDef(protocol="grpc", job_name="tpu_worker", task_index=0)
        definition.cluster.job.add(name="tpu_worker").tasks[0] = f"localhost:{port}"
        server_lib.Server(definition).join()
    finally:
        os._exit(1)
