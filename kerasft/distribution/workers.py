"""The processes of a run as they agree on something between steps, and what a process says when another is gone."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.distribution.tpu import silent_host, slice_hosts
from kerasft.errors import EndedElsewhere, Stop, UserError, WorkerLost
from kerasft.invocation import training_command

# What TensorFlow raises where a collective's other end is gone. An error of any other kind is none of a worker's loss.
_LOSSES = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
_BLOCK = 1 << 20  # rows that are hashed at once
_ABORTED = "Collective ops is aborted"


class Workers:
    """One process alone: it agrees with itself.

    Attributes:
        index: of this process; 0 is the chief, which alone writes.
        count: processes that train together.
    """

    index, count = 0, 1

    @property
    def chief(self) -> bool:
        return self.index == 0

    def all_gather(self, value: int) -> list[int]:
        """The value of each worker, once all have told theirs."""
        return [value]

    def wait(self) -> None:
        """Until every worker is here."""
        self.all_gather(0)

    def final_barrier(self) -> None:
        """The last word before all end, alike: whoever is here no longer needs anything of an earlier sum.

        Without it a worker could be gone while another still fetches the end of a sum from it, and seem lost.
        """
        with contextlib.suppress(tf.errors.OpError):  # here a worker may be gone
            self.all_gather(0)

    def run_on_all(self, work: Callable[[], Any]) -> Any:
        """Each worker works by itself, then all wait; a Stop in one of them ends them all.

        Args:
            work: in which workers do not wait for each other.

        Raises:
            EndedElsewhere: at the workers behind the first that was stopped.
        """
        result, stopped = None, None
        try:
            result = work()
        except Stop as error:
            stopped = error
        codes = self.all_gather(stopped.exit_code if stopped else 0)
        first = next((i for i, code in enumerate(codes) if code), None)
        if first is None:
            return result
        self.final_barrier()
        if stopped is not None and first == self.index:
            raise stopped
        raise EndedElsewhere(codes[first])

    def run_on_chief(self, work: Callable[[], Any]) -> None:
        """The chief works while the others wait; a Stop ends them all."""
        self.run_on_all(work if self.chief else lambda: None)

    def check_same(self, digest: str, what: str) -> None:
        """Raises UserError, on all of them, where a worker has something else than the chief.

        Args:
            digest: hexadecimal, of what must be the same.
            what: could differ, such as `data or a tokenizer`; a part of the message.
        """
        values = self.all_gather(int(digest[:12], 16))
        other = next((i for i, value in enumerate(values) if value != values[0]), None)
        if other is not None:
            self.final_barrier()
            raise UserError(f"worker {other} has {what} unlike the chief's; give every worker the same files")

    def check_sees(self, folder: Path) -> None:
        """Raises UserError, on all of them, where a worker does not see what the chief writes."""
        if self.count == 1:
            return
        mark = folder / f".seen-{self.all_gather(secrets.randbits(48))[0]}"
        self.run_on_chief(mark.touch)
        exists = self.all_gather(int(mark.exists()))
        self.run_on_chief(mark.unlink)
        if 0 in exists:
            self.final_barrier()
            raise UserError(
                f"output.dir: worker {exists.index(0)} does not see {folder}; name a folder on a file system that all "
                "workers share"
            )


class ClusterWorkers(Workers):
    """Several processes under a MultiWorkerMirroredStrategy.

    Args:
        strategy: every worker calls every method at the same moment of the run.
    """

    def __init__(self, strategy: tf.distribute.MultiWorkerMirroredStrategy):
        resolver = strategy.cluster_resolver
        self.index, self.count = resolver.task_id, resolver.cluster_spec().num_tasks("worker")
        local = strategy.num_replicas_in_sync // self.count  # a worker's devices, of which one speaks

        @tf.function(input_signature=[tf.TensorSpec([self.count], tf.int64)])
        def summed(values):
            def replica(values):
                context = tf.distribute.get_replica_context()
                speaks = tf.cast(context.replica_id_in_sync_group % local == 0, tf.int64)
                return context.all_reduce(tf.distribute.ReduceOp.SUM, values * speaks)

            return strategy.experimental_local_results(strategy.run(replica, args=(values,)))[0]

        self._summed = summed

    def all_gather(self, value: int) -> list[int]:
        values = [value if i == self.index else 0 for i in range(self.count)]
        return self._summed(tf.constant(values, tf.int64)).numpy().tolist()


def workers_of(strategy: tf.distribute.Strategy) -> Workers:
    """The workers of the strategy that this process trains under."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return ClusterWorkers(strategy)
    return Workers()


@contextlib.contextmanager
def report_lost_workers(folder: Path) -> Iterator[None]:
    """A worker's loss is one line and exit code 4.

    Args:
        folder: of the run, for the command that resumes it.
    """
    try:
        yield
    except tf.errors.OpError as error:
        # A slice's host is asked itself: its loss comes as one error or another, whatever was under way.
        host = silent_host(slice_hosts(os.environ.get("TPU_NAME", "")))
        if not (host or isinstance(error, _LOSSES) or _ABORTED in error.message):
            raise
        reason = f"{host} does not answer" if host else _reason(error)
        raise WorkerLost(
            f"another worker is gone, or out of reach ({reason}); start all of them again to go on from the "
            f"newest checkpoint: {training_command(folder / 'config.yaml', '--resume')}"
        ) from error


def digest_of(*parts: str | np.ndarray) -> str:
    """SHA-256 of texts and arrays; arrays may be mapped from files, and larger than the memory."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode())
            continue
        for start in range(0, len(part), _BLOCK):
            digest.update(part[start : start + _BLOCK].tobytes())
    return digest.hexdigest()


def _reason(error: tf.errors.OpError) -> str:
    """TensorFlow's own words, without the places in the graph and the notes of gRPC."""
    lines = error.message.splitlines()
    line_of_reason = next((line for line in lines if _ABORTED in line), lines[0] if lines else type(error).__name__)
    return line_of_reason.split(f"{_ABORTED} by: ")[-1].split(" [Op:")[0].strip().rstrip(":.")
