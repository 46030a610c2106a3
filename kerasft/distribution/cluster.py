"""Which processes train together, as the environment tells: TF_CONFIG, Slurm's or Kubernetes' variables.

No TensorFlow: who is the chief decides who speaks, from the first line on.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kerasft.config.schema import Config
from kerasft.errors import Diverged, EndedElsewhere, Interrupted, Stop, UserError
from kerasft.invocation import command

FIRST_PORT, PORTS = 20000, 12000  # below those that Linux gives to outgoing connections
KUBERNETES_PORT = 8470


@dataclass(frozen=True)
class Cluster:
    """The workers of a run and which of them this process is.

    Attributes:
        addresses: host:port of each; the first is the chief.
        index: of this process.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def chief(self) -> bool:
        return self.index == 0

    @property
    def tf_config(self) -> str:
        """As TensorFlow reads it, all of one job, so that indices are ours."""
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": list(self.addresses)}, "task": task})


@contextlib.contextmanager
def speaking(cluster: Cluster | None) -> Iterator[None]:
    """How a run ends is told once: by the chief where all end alike, with the worker's number otherwise."""
    try:
        yield
    except Stop as error:
        if cluster is None or cluster.chief:
            raise
        if isinstance(error, (Diverged, Interrupted)):
            raise EndedElsewhere(error.exit_code) from None
        if str(error):
            error.args = (f"worker {cluster.index}: {error}",)
        raise


def find_cluster(config: Config, environment: Mapping[str, str]) -> Cluster | None:
    """The cluster of a config's run; None: this process trains alone.

    `auto` follows TF_CONFIG only: Slurm sets its variables for scripts of one process, too.

    Raises:
        UserError: `multi_worker` without a cluster, or one that makes no sense.
    """
    strategy = config.training.strategy
    if strategy not in ("auto", "multi_worker"):
        return None
    if "TF_CONFIG" in environment:
        return _from_tf_config(environment["TF_CONFIG"])
    if strategy == "auto":
        return None
    if "SLURM_STEP_NODELIST" in environment:
        return _from_slurm(environment)
    if "JOB_COMPLETION_INDEX" in environment:
        return _from_kubernetes(environment)
    raise UserError(
        "training.strategy: multi_worker needs TF_CONFIG on each worker, srun of Slurm, or an indexed Job of "
        f"Kubernetes; on one machine: {command('launch')} --workers N CONFIG"
    )


def _from_tf_config(text: str) -> Cluster:
    try:
        content: Any = json.loads(text)
        jobs, task = content["cluster"], content["task"]
        addresses = {job: jobs[job] for job in ("chief", "worker") if job in jobs}
        index = int(task["index"]) + (len(addresses.get("chief", ())) if task["type"] == "worker" else 0)
        flat = tuple(str(address) for job in addresses.values() for address in job)
        is_member = task["type"] in addresses and 0 <= int(task["index"]) < len(addresses[task["type"]])
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"TF_CONFIG: {text!r} is not of the form "
            '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'
        ) from error
    if not is_member:
        raise UserError(f"TF_CONFIG: task {task} is no chief and no worker of its cluster, {jobs}")
    return Cluster(flat, index)


def _from_slurm(environment: Mapping[str, str]) -> Cluster:
    """One worker a task of the step; a node's tasks have consecutive ports and, as srun's default is, indices."""
    nodes = expand_nodes(environment["SLURM_STEP_NODELIST"])
    counts = _counts(_needed(environment, "SLURM_STEP_TASKS_PER_NODE"))
    if len(counts) != len(nodes):
        raise UserError(f"SLURM_STEP_TASKS_PER_NODE: {len(counts)} counts for the {len(nodes)} nodes of the step")
    first = _port(environment, FIRST_PORT + _number(environment, "SLURM_JOB_ID") % PORTS)
    addresses = [f"{node}:{first + i}" for node, count in zip(nodes, counts) for i in range(count)]
    return _member(addresses, environment, "SLURM_PROCID")


def _from_kubernetes(environment: Mapping[str, str]) -> Cluster:
    """Pods of an indexed Job behind a headless service: their host names are JOB-INDEX.SERVICE."""
    index = _needed(environment, "JOB_COMPLETION_INDEX")
    name = _needed(environment, "HOSTNAME")
    if not name.endswith(f"-{index}"):
        raise UserError(f"HOSTNAME: {name!r} does not end with -{index}, as that of an indexed Job's pod does")
    job, service = name.removesuffix(f"-{index}"), _needed(environment, "KERASFT_SERVICE")
    port, workers = _port(environment, KUBERNETES_PORT), _number(environment, "KERASFT_WORKERS")
    return _member([f"{job}-{i}.{service}:{port}" for i in range(workers)], environment, "JOB_COMPLETION_INDEX")


def expand_nodes(text: str) -> list[str]:
    """Slurm's short form of node names -> each of them: `n[01-03,7],login` -> n01 n02 n03 n7 login."""
    names = []
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        expanded = [""]
        for fixed, ranges in re.findall(r"([^\[]+)|\[([^\]]*)\]", part):
            expanded = [left + right for left in expanded for right in (_numbers(ranges) if ranges else [fixed])]
        names += expanded
    return names


def _numbers(ranges: str) -> Iterator[str]:
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield str(number).zfill(len(first))


def _counts(text: str) -> list[int]:
    """Slurm's short form of counts: `2(x3),1` -> 2 2 2 1."""
    counts = []
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", text):
        counts += [int(count)] * int(times or 1)
    return counts


def _member(addresses: list[str], environment: Mapping[str, str], key: str) -> Cluster:
    index = _number(environment, key)
    if index >= len(addresses):
        raise UserError(f"{key}: {index}, but there are {len(addresses)} workers, counted from 0")
    return Cluster(tuple(addresses), index)


def _port(environment: Mapping[str, str], default: int) -> int:
    return _number(environment, "KERASFT_PORT") if "KERASFT_PORT" in environment else default


def _number(environment: Mapping[str, str], key: str) -> int:
    value = _needed(environment, key)
    if not value.isdecimal():
        raise UserError(f"{key}: {value!r} is not a whole number")
    return int(value)


def _needed(environment: Mapping[str, str], key: str) -> str:
    if not environment.get(key):
        raise UserError(f"training.strategy: multi_worker needs the environment variable {key} here")
    return environment[key]
