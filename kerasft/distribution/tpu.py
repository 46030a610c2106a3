"""The TPU that this process drives: the chips of this machine, or those of a slice's hosts over the network."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence

import tensorflow as tf

from kerasft.errors import UserError

SECONDS = 300.0  # in which the hosts of a slice must answer: they start TensorFlow at the same time as this process
_PREFIX = "grpc://"


def tpu_strategy() -> tf.distribute.TPUStrategy:
    """Connects to the TPU that the environment variable TPU_NAME names, by default that of this machine.

    `grpc://HOST:PORT,grpc://HOST:PORT,...` names the hosts of a slice; each runs `start_grpc_tpu_worker`, which
    tensorflow-tpu brings. Of a slice this process drives all chips, and has none itself.

    Raises:
        UserError: no TPU answers.
    """
    name = os.environ.get("TPU_NAME") or "local"
    await_hosts(slice_hosts(name), SECONDS)
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        # By default TensorFlow would from here on run everything on the slice's first host, tokenizers included, and
        # the servers there have none of their kernels.
        tf.config.experimental_connect_to_cluster(resolver, make_master_device_default=False)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"training.strategy: no TPU answers here ({reason}); run on a Cloud TPU VM with tensorflow-tpu"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def slice_hosts(name: str) -> list[str]:
    """The addresses in a TPU_NAME; [] where it names this machine's own TPU, or one that Google is asked about."""
    if not name.startswith(_PREFIX):
        return []
    hosts = [part.removeprefix(_PREFIX) for part in name.split(",")]
    for host in hosts:
        address, _, port = host.rpartition(":")
        if not address or not port.isdecimal() or not 0 < int(port) < 65536:
            raise UserError(f"TPU_NAME: {host!r} is not HOST:PORT; write grpc://HOST:PORT,grpc://HOST:PORT,...")
    return hosts


def await_hosts(hosts: Sequence[str], seconds: float) -> None:
    """Waits until all hosts listen: TensorFlow itself would wait for them without a word and without end.

    Raises:
        UserError: one does not within the seconds that all have together.
    """
    end = time.monotonic() + seconds
    while (silent := silent_host(hosts)) is not None:
        if time.monotonic() >= end:
            raise UserError(
                f"TPU_NAME: host {hosts.index(silent)} of {len(hosts)}, {silent}, does not answer after {seconds:g} s; "
                "look at ~/kerasft/job/host.log there, and start it again with tpu/train.sh --slice"
            )
        time.sleep(1.0)


def silent_host(hosts: Sequence[str]) -> str | None:
    """The first host that does not listen, if there is one."""
    for host in hosts:
        address, _, port = host.rpartition(":")
        try:
            socket.create_connection((address, int(port)), timeout=5.0).close()
        except OSError:
            return host
    return None
