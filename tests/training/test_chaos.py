"""A kill at a random moment, and a few with `make test-all`; `python tests/support/chaos.py` does fifty."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.long)])
def test_killed_runs_end_with_the_same_bits(kills):
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, str(TESTS / "support" / "chaos.py"), "--kills", str(kills)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith(f"{kills} kills"), done.stdout
