"""Signals that mean: save, then end. Ctrl-C, SIGTERM of a machine that goes, SIGHUP of a terminal that is closed."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import threading
from collections.abc import Iterator
from typing import Any, TextIO

from kerasft.errors import HungUp, Interrupted, Terminated

# Signal -> what ends a program by it, and the word that says so.
ENDS: dict[int, tuple[type[Interrupted], str]] = {
    signal.SIGINT: (Interrupted, "interrupted"),
    signal.SIGTERM: (Terminated, "terminated"),
    signal.SIGHUP: (HungUp, "its terminal was closed"),
}
STANDARD = (1, 2)  # descriptors of stdout and stderr


def signals_heeded() -> list[int]:
    """Those that this process ends by. SIGHUP is none of them under nohup, which starts a program that ignores it."""
    return [number for number in ENDS if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN]


def leave_terminal() -> None:
    """Lets what is written from now on to a terminal go nowhere: after SIGHUP it is gone, and a write would fail."""
    for descriptor in STANDARD:
        if _is_device(descriptor):
            _to_nowhere(descriptor)


def left_terminal(stream: TextIO, error: OSError) -> bool:
    """Whether a write failed because the stream's terminal is gone; the stream then goes nowhere and can be used."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # a stream without a descriptor
        return False
    if error.errno != errno.EIO or not _is_device(descriptor):
        return False
    _to_nowhere(descriptor)
    return True


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP end the program as Ctrl-C does, where they have no other meaning."""

    def on_signal(number: int, frame: Any) -> None:
        if number == signal.SIGHUP:
            leave_terminal()
        raise KeyboardInterrupt(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in signals_heeded() if number != signal.SIGINT]
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_device(descriptor: int) -> bool:
    # isatty() says no of a terminal that is gone.
    with contextlib.suppress(OSError):
        return stat.S_ISCHR(os.fstat(descriptor).st_mode)
    return False


def _to_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
