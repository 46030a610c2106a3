"""A process for each trial, which ends with whoever started it.

Processes come from a server that has imported TensorFlow and never run it, so that a trial pays for its own steps and
graphs and not for the import.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection, wait
from typing import Any

from kerasft.search.job import FAILED, Ending, Job, Report

_PRELOADED = ["kerasft.search.trial_imports"]
_GRACE = 120.0  # seconds in which a process that was told to end may save


class TrialProcess:
    """Runs jobs one at a time, each in a process of its own.

    Attributes:
        process: that works now; None: none.
    """

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(_PRELOADED)
        self.process: Any = None

    def run(self, job: Job, report: Report) -> Ending:
        """Does a job; `report` is called in this process.

        An exception here, such as Ctrl-C, tells the process to save and end, and waits for that.
        """
        ours, theirs = self.context.Pipe()
        self.process = self.context.Process(target=_work, args=(job, theirs))
        self.process.start()
        theirs.close()
        try:
            while True:
                try:
                    kind, content = ours.recv()
                    if kind != "end":
                        answer = report(*content)
                        ours.send(answer)
                        continue
                except (EOFError, BrokenPipeError, ConnectionResetError):  # before it said something, or heard this
                    self.process.join()
                    return Ending(FAILED, why=f"crashed: its process ended with {_named(self.process.exitcode)}")
                self.process.join()
                return content
        except BaseException:
            self.stop()
            raise
        finally:
            ours.close()
            self.process = None

    def stop(self) -> None:
        """Tells the process to save and end, and waits for it; from any thread."""
        process = self.process
        if process is None:
            return
        process.terminate()
        process.join(_GRACE)
        if process.is_alive():
            process.kill()
            process.join()


def _named(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"{name}, as for want of memory" if name == "SIGKILL" else name
    return f"exit code {code}"


def _work(job: Job, connection: Connection) -> None:
    """What a trial's process does."""
    _end_with_parent()
    from kerasft.search.trial import run_job

    def report(step: int, value: float, steps: int) -> bool:
        try:
            connection.send(("report", (step, value, steps)))
            return connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):  # whoever started this is gone: see below
            os.kill(os.getpid(), signal.SIGKILL)
            raise

    connection.send(("end", run_job(job, report)))


def _end_with_parent() -> None:
    """A process whose starter is gone must not go on: its trial will be taken over."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
