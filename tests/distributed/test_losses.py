"""A worker or a slice's host that dies, or is told to end: who is left ends in time and says so; a relaunch goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kerasft.distribution.coordination import HEARTBEAT_SECONDS

TESTS = Path(__file__).resolve().parent.parent


def broken_and_whole(script: str, folder: Path, *arguments: str) -> tuple[dict, dict[str, str]]:
    """What a script found, whose broken run has ended with the bits of the whole one, and what that run said."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, str(TESTS / "support" / script), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=550)
    said = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("broken.*.log")}
    assert done.returncode == 0, done.stderr[-2000:] + said.get("broken.0.log", "")[-2000:]
    found = json.loads(done.stdout)
    print(found)
    assert not any(code for codes in found["codes"] for code in codes)
    assert found["sha256"][0] == found["sha256"][1]
    assert not list((folder / "runs").rglob(".*"))
    assert not any("Traceback" in log for log in said.values())
    return found, said


def check_said(log: str) -> None:
    assert "another worker is gone" in log and "runs/broken/config.yaml --resume" in log


@pytest.mark.slow
@pytest.mark.long
def test_a_worker_that_is_gone(tmp_path):
    found, said = broken_and_whole("losses.py", tmp_path, "1")
    check_killed(found["attempts"][0], [4, -9])
    check_said(said["broken.0.log"])


@pytest.mark.long
def test_workers_that_are_gone_one_after_the_other(tmp_path):
    found, said = broken_and_whole("losses.py", tmp_path)
    worker_killed, chief_killed, told_to_end = found["attempts"]
    check_killed(worker_killed, [4, -9])
    check_killed(chief_killed, [-9, 4])
    for log in said.values():
        check_said(log)
    assert told_to_end["codes"] == [143, 143]
    assert f"terminated at step {told_to_end['step']} of 34" in said["broken.0.log"]
    assert "terminated" not in said["broken.1.log"]  # the chief has said it


def check_killed(attempt: dict, codes: list[int]) -> None:
    assert attempt["codes"] == codes
    assert attempt["seconds"] < 2 * HEARTBEAT_SECONDS


@pytest.mark.long
def test_a_host_of_a_slice_that_is_gone(tmp_path):
    """No TPU is at hand: the hosts are TensorFlow's own servers, and their CPUs take the place of chips."""
    found, said = broken_and_whole("slice_losses.py", tmp_path)
    assert found["attempts"][0]["code"] == 4
    for log in said.values():
        check_said(log)
    assert "another worker is gone, or out of reach (127.0.0.1:" in said["broken.0.log"]
