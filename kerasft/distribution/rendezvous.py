"""The workers of a run meet before TensorFlow loads: a mistake that one of them finds ends all, and is told once.

The chief listens on its own address, which TensorFlow takes over afterwards. Each worker sends a line of JSON and
gets one.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

from kerasft.distribution.cluster import Cluster
from kerasft.errors import EndedElsewhere, Stop, UserError, WorkerLost

SECONDS = 600.0  # nodes of a batch system come one after the other
SECONDS_WITH_A_MISTAKE = 20.0
RETRY_SECONDS = 0.2
ANSWER_SECONDS = 5.0  # of a chief that has waited to the end for somebody else
MOST_BYTES = 1 << 16


@contextlib.contextmanager
def rendezvous(cluster: Cluster | None, seconds: float = SECONDS) -> Iterator[None]:
    """The context of all that a worker can find wrong by itself; at its end the workers wait for each other.

    Args:
        cluster: None: there are no others.
        seconds: to wait for them.

    Raises:
        UserError: at the chief, where some worker found a mistake.
        EndedElsewhere: at the others then.
        WorkerLost: some worker did not come.
    """
    mistake = None
    try:
        yield
    except Stop as error:
        mistake = error
    if cluster is not None and len(cluster.addresses) > 1:
        deadline = time.monotonic() + seconds
        if cluster.chief:
            mistake = _receive(cluster, mistake, deadline)
        else:
            _report(cluster, mistake, deadline)
    if mistake is not None:
        raise mistake


def _receive(cluster: Cluster, mistake: Stop | None, deadline: float) -> Stop | None:
    """The chief's side; the first mistake in the order of workers."""
    connections: dict[int, socket.socket] = {}
    words: dict[int, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack, _listener(cluster) as listener:
        hurried = False
        while len(connections) < len(cluster.addresses) - 1:
            if not hurried and (mistake or any(word["mistake"] for word in words.values())):
                hurried, deadline = True, min(deadline, time.monotonic() + SECONDS_WITH_A_MISTAKE)
            listener.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                connection = stack.enter_context(listener.accept()[0])
                word = _read(connection, deadline)
            except TimeoutError:
                break
            if _is_of(word, cluster):
                connections[word["index"]], words[word["index"]] = connection, word
        if mistake is None:
            mistake = _mistake_of(cluster, words)
        for connection in connections.values():
            with contextlib.suppress(OSError):  # it is gone: TensorFlow's own waiting is what finds out
                _write(connection, {"exit_code": mistake.exit_code if mistake else 0})
    return mistake


def _is_of(word: dict[str, Any], cluster: Cluster) -> bool:
    """Whether it comes from a worker of this cluster, and not from whoever else found the port."""
    is_ours = word.get("of") == list(cluster.addresses) and "mistake" in word
    return is_ours and word.get("index") in range(1, len(cluster.addresses))


def _mistake_of(cluster: Cluster, words: dict[int, dict[str, Any]]) -> Stop | None:
    for index in sorted(words):
        if words[index]["mistake"]:
            return UserError(f"worker {index}: {words[index]['mistake']}")
    absent = [i for i in range(1, len(cluster.addresses)) if i not in words]
    if not absent:
        return None
    return WorkerLost(
        f"worker {absent[0]} ({cluster.addresses[absent[0]]}) did not come; start every worker, then again"
    )


def _report(cluster: Cluster, mistake: Stop | None, deadline: float) -> None:
    """Another worker's side. Returns where nobody found a mistake, or where the chief does not answer to hear of it."""
    host, port = _host_and_port(cluster.addresses[0])
    word = {"index": cluster.index, "of": list(cluster.addresses), "mistake": str(mistake) if mistake else None}
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, port), timeout=max(0.01, deadline - time.monotonic())) as connection:
                _write(connection, word)
                code = _read(connection, deadline + ANSWER_SECONDS)["exit_code"]
        except (OSError, KeyError):  # it does not listen yet, or its name is not known yet
            time.sleep(RETRY_SECONDS)
            continue
        if code:
            raise EndedElsewhere(code)
        return
    if mistake is None:
        raise WorkerLost(f"the chief does not answer at {cluster.addresses[0]}; start every worker, then again")


def _listener(cluster: Cluster) -> socket.socket:
    _, port = _host_and_port(cluster.addresses[0])
    try:
        return socket.create_server(("", port))
    except OSError as error:
        raise UserError(
            f"{cluster.addresses[0]}: the chief can't listen on its port ({error.strerror}); give the workers another, "
            "by TF_CONFIG or KERASFT_PORT"
        ) from error


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"{address!r} is no HOST:PORT; fix the cluster's addresses")
    return host.strip("[]"), int(port)


def _write(connection: socket.socket, word: dict[str, Any]) -> None:
    connection.sendall(json.dumps(word).encode() + b"\n")


def _read(connection: socket.socket, deadline: float) -> dict[str, Any]:
    """One line; empty where the other side closes early or speaks something else."""
    data = b""
    while not data.endswith(b"\n") and len(data) < MOST_BYTES:
        connection.settimeout(max(0.01, deadline - time.monotonic()))
        more = connection.recv(4096)
        if not more:
            break
        data += more
    try:
        word = json.loads(data)
    except ValueError:
        return {}
    return word if isinstance(word, dict) else {}
