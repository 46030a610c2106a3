"""A TPU slice whose host dies: the training says so, and a relaunch goes on to the same bits.

No TPU is at hand: the hosts are TensorFlow's own servers, and their CPUs take the place of chips (slice_hosts.py).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_a_broken_run_goes_on_to_the_bits_of_a_whole_one(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, str(TESTS / "slice_losses.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=550)
    log = tmp_path / "broken.0.log"
    said = log.read_text(encoding="utf-8") if log.exists() else ""
    assert done.returncode == 0, done.stderr[-2000:] + said[-2000:]
    found = json.loads(done.stdout)
    print(found)

    assert found["attempt"]["code"] == 4
    assert "another worker is gone, or out of reach (127.0.0.1:" in said and "runs/broken/config.yaml --resume" in said
    assert "Traceback" not in said
    assert found["codes"] == [0, 0]
    assert found["sha256"][0] == found["sha256"][1]
