"""The launcher over small stand-ins for the workers; tests/distributed has the real ones."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerasft import launch

ROOT = Path(__file__).parent.parent
# A worker that does what entry number `index` of ACTS says.
STAND_IN = """
import json, os, signal, sys, time
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
print(f"{index} speaks", file=sys.stderr, flush=True)
def end(number, frame):
    time.sleep(0.3)
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGHUP, end)
exec(json.loads(os.environ["ACTS"])[index])
"""
DRIVER = """
import sys
from kerasft import launch
launch.WORKER, launch.GRACE_SECONDS = ("-c", sys.argv[1]), 1.0
sys.exit(launch.main(["--workers", sys.argv[2], "config.yaml", "name=other"]))
"""


@pytest.fixture
def project(tmp_path) -> Path:
    config = {
        "name": "t", "task": {"name": "text_classification"}, "model": {"preset": "x"},
        "data": {"train": "x", "columns": {"text": "text", "label": "label"}},
        "training": {"strategy": "multi_worker"},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    return tmp_path


def started(folder: Path, *acts: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ACTS": json.dumps(acts)}
    command = [sys.executable, "-c", DRIVER, STAND_IN, str(len(acts))]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(folder: Path, *acts: str) -> tuple[int, str, str]:
    process = started(folder, *acts)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_the_chief_speaks_as_it_is_and_others_with_their_number(project):
    code, out, err = ended(project, "print('a table')", "print('nothing')")
    assert (code, out) == (0, "a table\n")
    assert sorted(err.splitlines()) == ["0 speaks", "[worker 1] 1 speaks"]


def test_when_one_is_killed_the_rest_is_too_and_the_command_that_goes_on_is_told(project):
    begun = time.monotonic()
    code, _, err = ended(project, "time.sleep(50)", "os.kill(os.getpid(), signal.SIGKILL)", "time.sleep(50)")
    assert code == 137 and time.monotonic() - begun < 20
    assert "error: worker 1 was killed by SIGKILL; to go on: kerasft launch --workers 3" in err
    assert err.rstrip().endswith("config.yaml name=other --resume")


def test_the_first_failure_counts_and_not_those_that_noticed_it(project):
    code, _, err = ended(project, "sys.exit(4)", "time.sleep(0.5); sys.exit(1)")
    assert code == 1 and "worker 1 ended with exit code 1" in err


def test_what_the_chief_has_told_is_not_told_again(project):
    code, _, err = ended(project, "sys.exit(2)", "sys.exit(2)")
    assert code == 2 and "error" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_every_worker(project, number):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("these tests run under nohup")
    act = "open(f'ready{index}', 'w').close(); time.sleep(50)"
    process = started(project, act, act)
    while not all((project / f"ready{index}").exists() for index in range(2)):
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "killed" not in err


def test_workers_do_not_outlive_a_killed_launcher(project):
    act = "open(f'pid{index}', 'w').write(str(os.getpid())); time.sleep(50)"
    process = started(project, act, act)
    files = [project / f"pid{index}" for index in range(2)]
    while not all(file.exists() and file.read_text() for file in files):
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=60)
    for file in files:
        for _ in range(100):
            try:
                os.kill(int(file.read_text()), 0)
            except ProcessLookupError:
                break
            time.sleep(0.1)
        else:
            pytest.fail("a worker is still there")


def test_a_strategy_of_one_process_is_refused(project, capsys):
    path = str(project / "config.yaml")
    assert launch.main(["--workers", "2", path, "training.strategy=one_device"]) == 2
    assert "training.strategy: one_device is for one process; set multi_worker" in capsys.readouterr().err
    assert launch.main(["--workers", "0", path]) == 2


def test_processors_are_shared_out(monkeypatch):
    monkeypatch.setattr(launch.os, "sched_getaffinity", lambda _: set(range(8)))
    seen = []
    monkeypatch.setattr(launch, "_start", lambda arguments, environment, chief: seen.append(environment) or _Ended())
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    assert launch.Group(3, ["config.yaml"], "x").wait() == (0, 0)
    assert [environment["OMP_NUM_THREADS"] for environment in seen] == ["2"] * 3
    assert [environment["TF_NUM_INTRAOP_THREADS"] for environment in seen] == ["7"] * 3  # the user's own


class _Ended:
    returncode, stderr = 0, ()

    def poll(self) -> int:
        return 0
