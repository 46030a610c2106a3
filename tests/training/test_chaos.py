"""A few kills at random moments; `python tests/chaos.py` does fifty."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_killed_runs_end_with_the_same_bits():
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, str(TESTS / "chaos.py"), "--kills", "6"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("6 kills"), done.stdout
