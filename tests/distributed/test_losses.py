"""A worker that dies or is told to end: the other ends in time and says so, and a relaunch goes on to the same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kerasft.training.coordination import HEARTBEAT_SECONDS

TESTS = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_a_broken_run_goes_on_to_the_bits_of_a_whole_one(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, str(TESTS / "losses.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=550)
    said = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("broken.*.log")}
    assert done.returncode == 0, done.stderr[-2000:] + said.get("broken.0.log", "")[-2000:]
    found = json.loads(done.stdout)
    print(found)

    worker_killed, chief_killed, told_to_end = found["attempts"]
    assert worker_killed["codes"] == [4, -9]
    assert worker_killed["seconds"] < 2 * HEARTBEAT_SECONDS
    assert chief_killed["codes"] == [-9, 4]
    assert chief_killed["seconds"] < 2 * HEARTBEAT_SECONDS
    for name in ("broken.0.log", "broken.1.log"):
        assert "another worker is gone" in said[name] and "runs/broken/config.yaml --resume" in said[name]
        assert "Traceback" not in said[name]

    assert told_to_end["codes"] == [143, 143]
    assert f"terminated at step {told_to_end['step']} of 34" in said["broken.0.log"]
    assert "terminated" not in said["broken.1.log"]  # the chief has said it

    assert found["codes"] == [[0, 0], [0, 0]]
    assert found["sha256"][0] == found["sha256"][1]
    assert not list((tmp_path / "runs").rglob(".*"))
