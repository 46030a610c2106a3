"""`kerasft search` with trials that train: one that is killed goes on inside, and the winner's file makes its bits."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from kerasft import train
from kerasft.console.terminal import Silent
from kerasft.search import command
from kerasft.search.process import TrialProcess
from kerasft.search.trial import latency_of, run_job


class Killed(BaseException):
    """Stands for a kill."""


class Direct:
    """Runs jobs in this process; the `dies`-th validation that is reported is the last thing it does."""

    def __init__(self, dies: int | None = None):
        self.dies, self.reported = dies, []

    def run(self, job, report):
        def counted(step, value, steps):
            self.reported.append(step)
            if len(self.reported) == self.dies:
                raise Killed
            return report(step, value, steps)

        return run_job(job, counted)

    def stop(self):
        pass


def test_a_killed_trial_goes_on_inside_and_the_winner_is_made_again_bit_by_bit(project):
    space = {"training.optimizer.learning_rate": {"log": [1e-3, 1e-1]}}
    config = project(search={"space": space, "repeats": 1}, model={"dropout": 0.1})
    Path("test.jsonl").rename("hidden.jsonl")  # no trial reads test

    def search(runner, **options):
        return command.run_search(str(config), trials=1, terminal=Silent(), runner=runner, **options)

    with pytest.raises(Killed):
        search(Direct(dies=2))
    Path("hidden.jsonl").rename("test.jsonl")
    going_on = Direct()
    winner = search(going_on, resume=True)
    assert going_on.reported[:3] == [9, 18, 27]  # what was validated before is told again, not trained again
    trial = Path("runs/tiny-search/trials/trial-0000")
    metrics = json.loads((trial / "metrics.json").read_text(encoding="utf-8"))
    assert "test" not in metrics and not (trial / "checkpoints").exists()
    assert winner["sha256"] == metrics["training"]["sha256"]
    assert winner["validation"] == metrics["validation"]["accuracy"]
    assert len(winner["repeats"]["values"]) == 1 and winner["test"]["rows"] == 33 and winner["tests_opened"] == 1
    assert train.main(["runs/tiny-search/winner.yaml", "export.enabled=false"]) == 0
    again = json.loads(Path("runs/tiny-winner/metrics.json").read_text(encoding="utf-8"))
    assert again["training"]["sha256"] == winner["sha256"]
    assert again["test"]["accuracy"] == winner["test"]["accuracy"]


def test_a_process_that_is_killed_before_it_hears_the_reply_is_a_trial_that_failed():
    def lost(*content):
        raise BrokenPipeError

    ours = SimpleNamespace(recv=lambda: ("report", (1, 0.5, 9)), send=lost, close=lambda: None)
    theirs = SimpleNamespace(close=lambda: None)
    process = SimpleNamespace(start=lambda: None, join=lambda: None, exitcode=-signal.SIGKILL)
    runner, told = TrialProcess(), []
    runner.context = SimpleNamespace(Pipe=lambda: (ours, theirs), Process=lambda **keys: process)
    ending = runner.run(SimpleNamespace(), lambda *content: bool(told.append(content)))
    assert told == [(1, 0.5, 9)] and ending.kind == "failed"
    assert ending.why == "crashed: its process ended with SIGKILL, as for want of memory"


@pytest.mark.long
def test_killed_by_sigkill_in_each_trial_that_trains_the_table_is_that_of_an_undisturbed_search(project):
    space = {"training.optimizer.learning_rate": {"log": [1e-3, 1e-1]}}
    project(search={"space": space, "repeats": 1, "pruner": "none"}, training={"epochs": 8}, rows=200)
    source, environment = random.Random(0), os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    def start(name: str, *more: str) -> subprocess.Popen:
        search = [sys.executable, "-m", "kerasft", "search", "config.yaml", f"name={name}", "--trials", "4", *more]
        return subprocess.Popen(search, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def rows(name: str) -> list[dict[str, str]]:
        table = Path(f"runs/{name}-search/trials.csv")
        return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines())) if table.exists() else []

    assert start("whole").wait() == 0
    killed = 0
    for ended in (0, 1, 2, 3, 3):  # trials that have ended when the next kill comes
        process = start("broken", *(["--resume"] if killed else []))
        trial = Path(f"runs/broken-search/trials/trial-{ended:04d}/checkpoints")
        while len(rows("broken")) < ended or not list(trial.glob("ckpt-*.index")):
            time.sleep(0.02)
            assert process.poll() is None
        time.sleep(source.random() * 0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
    assert start("broken", "--resume").wait() == 0
    assert rows("broken") == rows("whole") and len(rows("whole")) == 4 and killed == 5


def test_a_rate_at_which_training_diverges_is_a_trial_that_failed(project, capsys):
    space = {"training.optimizer.learning_rate": {"choice": [1e30, 1e31]}}
    config = project(search={"space": space, "repeats": 0, "sampler": "grid"}, training={"epochs": 1})
    runner = Direct()

    class Process:
        """In place of processes."""

        run, stop = runner.run, runner.stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kerasft.search.process.TrialProcess", Process)
        assert command.main([str(config), "--trials", "1"]) == 2
    assert "no trial came to its end, so nothing won; trial 0: diverged: the loss" in capsys.readouterr().err


def test_the_latency_of_a_run_is_that_of_one_answer(trained_project):
    assert 0 < latency_of(trained_project / "runs" / "tiny") < 10_000  # milliseconds
