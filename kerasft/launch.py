"""`python -m kerasft.launch --workers N CONFIG [key=value ...]`: a training by N worker processes on this machine."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO, Any

from kerasft.config.load import load_config
from kerasft.config.spelling import suggest_key
from kerasft.console.arguments import Parser
from kerasft.console.signals import leave_terminal, left_terminal, signals_heeded
from kerasft.console.terminal import run_program
from kerasft.distribution.cluster import Cluster
from kerasft.errors import Stop, UserError, WorkerLost
from kerasft.invocation import TRAINING_COMMAND, command
from kerasft.train import add_arguments

GRACE_SECONDS = 10.0  # that workers have to end by themselves, once one of them has failed
POLL_SECONDS = 0.1
WORKER = ("-m", "kerasft.train")
TOLD = (UserError.exit_code, 3, WorkerLost.exit_code, 129, 130, 143)  # exit codes of ends that the chief tells itself
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
PR_SET_PDEATHSIG = 1


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("launch", __doc__, "--workers 2 my.yaml", suggest_key)
    parser.add_argument("--workers", type=int, required=True, metavar="N", help="processes; the first is the chief")
    add_arguments(parser)
    args = parser.parse_intermixed_args(argv)
    flags = [f"--{name}" for name in ("resume", "overwrite", "verbose") if getattr(args, name)]
    return run_program(lambda: launch(args.workers, args.config, args.overrides, flags))


def launch(workers: int, config: str, overrides: Sequence[str], flags: Sequence[str]) -> int:
    """Starts the workers and waits for them; the exit code is that of the one that failed first.

    Raises:
        UserError: a config that is not valid, or names a strategy of one process.
        Stop: a worker died without a word of its own.
    """
    if workers < 1:
        raise UserError(f"--workers: {workers}; use 1 or more")
    strategy = load_config(config, overrides).training.strategy
    if strategy not in ("auto", "multi_worker"):
        raise UserError(f"training.strategy: {strategy} is for one process; set multi_worker for --workers {workers}")
    started = command("launch", "--workers", workers)
    group = Group(workers, [config, *overrides, *flags], started)
    index, code = group.wait()
    if code < 0 or code not in (0, *TOLD):
        again = [config, *overrides, *(flag for flag in flags if flag == "--verbose"), "--resume"]
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        failed = Stop(f"worker {index} {how}; to go on: {started} {shlex.join(again)}")
        failed.exit_code = 128 - code if code < 0 else code
        raise failed
    return code


class Group:
    """The worker processes; a signal to this one goes to all of them.

    Args:
        workers: how many.
        arguments: of `kerasft.train`.
        started: the command that started them, for their messages.
    """

    def __init__(self, workers: int, arguments: Sequence[str], started: str):
        addresses = free_addresses(workers)
        share = str(max(1, len(os.sched_getaffinity(0)) // workers))
        self.processes: list[subprocess.Popen] = []
        self.signals = {number: signal.signal(number, self._forward) for number in signals_heeded()}
        for index in range(workers):
            own = {"TF_CONFIG": Cluster(addresses, index).tf_config, TRAINING_COMMAND: started}
            environment = {**dict.fromkeys(THREADS, share), **os.environ, **own}
            self.processes.append(_start(arguments, environment, chief=index == 0))
        self.readers = [
            threading.Thread(target=_prefix, args=(index, process.stderr), daemon=True)
            for index, process in enumerate(self.processes)
            if index
        ]
        for reader in self.readers:
            reader.start()

    def wait(self) -> tuple[int, int]:
        """The worker that failed first, or the chief, and its exit code; minus a signal's number where one killed it.

        A worker that only noticed the loss of another is not the first. Those that are left GRACE_SECONDS after a
        failure are killed.
        """
        failed: dict[int, int] = {}
        deadline = None
        while any(process.poll() is None for process in self.processes):
            failed |= self._failed()
            deadline = deadline or (time.monotonic() + GRACE_SECONDS if failed else None)
            if deadline and time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        failed |= self._failed()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for reader in self.readers:
            reader.join(timeout=1)
        for number, before in self.signals.items():
            signal.signal(number, before)
        causes = [index for index, code in failed.items() if code != WorkerLost.exit_code] or list(failed) or [0]
        return causes[0], failed.get(causes[0], 0)

    def _failed(self) -> dict[int, int]:
        """Of the workers that have ended badly, in the order of workers; the caller keeps the order of time."""
        return {index: process.returncode for index, process in enumerate(self.processes) if process.poll()}

    def _forward(self, number: int, frame: Any) -> None:
        if number == signal.SIGHUP:
            leave_terminal()
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)


def free_addresses(count: int) -> tuple[str, ...]:
    """Addresses on this machine whose ports nobody has."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = tuple(f"127.0.0.1:{each.getsockname()[1]}" for each in sockets)
    for each in sockets:
        each.close()
    return addresses


def _start(arguments: Sequence[str], environment: dict[str, str], chief: bool) -> subprocess.Popen:
    # A session of its own: Ctrl-C in a terminal reaches the launcher alone, which passes it on once.
    return subprocess.Popen(
        [sys.executable, *WORKER, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=None if chief else subprocess.DEVNULL,
        stderr=None if chief else subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_end_with_the_launcher,
    )


def _end_with_the_launcher() -> None:
    """Workers that outlived a killed launcher would write where its successor does."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _prefix(index: int, lines: IO[bytes]) -> None:
    for line in lines:
        try:
            sys.stderr.write(f"[worker {index}] {line.decode(errors='replace')}")
            sys.stderr.flush()
        except OSError as error:  # a worker must be able to go on writing, whoever reads it
            left_terminal(sys.stderr, error)


if __name__ == "__main__":
    sys.exit(main())
