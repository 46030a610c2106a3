"""Kills at random moments; `python tests/support/chaos.py` does fifty.

Of `make test-all` alone: a run that is killed once is in test_programs.py, too.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("kills", [1, 6])
def test_killed_runs_end_with_the_same_bits(kills):
    environment = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
    command = [sys.executable, str(TESTS / "support" / "chaos.py"), "--kills", str(kills)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith(f"{kills} kills"), done.stdout
