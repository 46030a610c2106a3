"""`kerasft search` with trials that train: one that is killed goes on inside, and the winner's file makes its bits."""

import json
from pathlib import Path

import pytest

from kerasft import train
from kerasft.console.terminal import Silent
from kerasft.search import command
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
