"""A terminal that was closed ends nothing by itself: what is written to it goes nowhere."""

import errno
import io
import os
import signal

import pytest

from kerasft.console import signals
from kerasft.console.standard_output import StandardOutput
from kerasft.console.terminal import Terminal


@pytest.fixture
def closed():
    """A stream to a terminal whose other end is gone."""
    master, slave = os.openpty()
    stream = open(slave, "w", encoding="utf-8")
    os.close(master)
    yield stream
    stream.close()


def test_a_closed_terminal_hears_nothing_and_ends_nothing(closed):
    with pytest.raises(OSError, match="Input/output error"):
        os.write(closed.fileno(), b"x")
    terminal = Terminal(stream=closed, output=closed)
    terminal.line("a remark")
    terminal.result("a result")
    StandardOutput(closed).write("a table")


def test_a_file_that_cannot_be_written_is_still_an_error(tmp_path):
    with open(tmp_path / "file", "w", encoding="utf-8") as file, open(os.devnull, "w", encoding="utf-8") as device:
        assert not signals.left_terminal(file, OSError(errno.EIO, "a broken disk"))
        assert not signals.left_terminal(device, OSError(errno.ENOSPC, "full"))
        assert not signals.left_terminal(io.StringIO(), OSError(errno.EIO, "no descriptor"))


def test_after_sighup_the_standard_streams_go_nowhere_unless_they_are_files(monkeypatch, tmp_path):
    master, slave = os.openpty()
    kept = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    monkeypatch.setattr(signals, "STANDARD", (slave, kept))
    signals.leave_terminal()
    assert os.write(slave, b"x") == 1 and os.write(kept, b"y") == 1
    assert (tmp_path / "log").read_bytes() == b"y"
    os.set_blocking(master, False)
    with pytest.raises(OSError):  # nothing is there, and nobody writes any more
        os.read(master, 1)
    for descriptor in (master, slave, kept):
        os.close(descriptor)


def test_nohup_is_heeded():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in signals.signals_heeded()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert signals.signals_heeded() == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, before)
