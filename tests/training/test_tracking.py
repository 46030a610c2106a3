"""What MLflow and Weights & Biases are told of a run: their own local modes where they are installed, or stand-ins."""

import importlib.util
import json
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from kerasft.config.schema import Config
from kerasft.errors import Interrupted, Pruned, UserError
from kerasft.training.actions.base import Training
from kerasft.training.actions.tracking import flat, trackers


def config(**tracker) -> Config:
    return Config.model_validate(
        {
            "name": "mine",
            "task": {"name": "text_classification"},
            "model": {"preset": "x"},
            "data": {"train": "x", "columns": {"text": "text", "label": "label"}},
            "training": {"tracking": [tracker]},
        }
    )


def play(
    config: Config, folder: Path, steps: range, ends: type | None = None, chief: bool = True, terminal=None
) -> None:
    """The moments of a run of 1,000 steps, one validation every 100."""
    checkpoints = SimpleNamespace(step=0, workers=SimpleNamespace(chief=chief))
    training = Training(checkpoints, 1000, "accuracy", None, folder, terminal)
    (folder / "run.json").write_text(json.dumps({"id": "0123456789abcdef" * 2}))
    (action,) = trackers(config)
    action.begin(training)
    for step in steps:
        checkpoints.step = step
        action.after_steps({"loss": 1.0 / step, "learning_rate": 1e-4})
        if step % 100 == 0:
            action.after_evaluation({"accuracy": step / 1000})
    action.end(*((ends, ends("x"), None) if ends else (None, None, None)))


def in_place(monkeypatch, name: str, **members) -> None:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


class Client:
    """In place of mlflow.MlflowClient."""

    runs: dict[str, dict] = {}

    def __init__(self, tracking_uri):
        assert tracking_uri == "folder"

    def get_experiment_by_name(self, name):
        return SimpleNamespace(experiment_id="7") if self.runs else None

    def create_experiment(self, name):
        return "7"

    def search_runs(self, experiments, filter_string, max_results):
        return [SimpleNamespace(info=SimpleNamespace(run_id=run)) for run in self.runs if f"'{run}'" in filter_string]

    def create_run(self, experiment, run_name, tags):
        run = tags["kerasft.id"]
        self.runs[run] = {"name": run_name, "params": {}, "metrics": [], "status": "RUNNING"}
        return SimpleNamespace(info=SimpleNamespace(run_id=run))

    def update_run(self, run, status):
        self.runs[run]["status"] = status

    def log_batch(self, run, params):
        assert len(params) <= 100
        self.runs[run]["params"] |= dict(params)

    def log_metric(self, run, name, value, step):
        self.runs[run]["metrics"].append((name, value, step))

    def set_tag(self, run, key, value):
        self.runs[run][key] = value

    def set_terminated(self, run, status):
        self.runs[run]["status"] = status


def test_mlflow_is_told_the_config_the_curve_and_the_validations(tmp_path, monkeypatch):
    in_place(monkeypatch, "mlflow", MlflowClient=Client)
    in_place(monkeypatch, "mlflow.entities", Param=lambda key, value: (key, value))
    monkeypatch.setattr(Client, "runs", {})
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    settings = config(name="mlflow", uri="folder")
    play(settings, tmp_path, range(1, 551), Interrupted)
    (run,) = Client.runs.values()
    assert run["status"] == "KILLED" and run["name"] == "mine"
    assert run["params"]["training.optimizer.learning_rate"] == "5e-05" and run["params"]["task.labels"] == "null"
    play(settings, tmp_path, range(551, 1001))  # goes on: the same run there
    assert len(Client.runs) == 1 and run["status"] == "FINISHED"
    losses = [step for name, _, step in run["metrics"] if name == "loss"]
    assert len(losses) == 200 and losses[-1] == 1000
    assert [value for name, value, _ in run["metrics"] if name == "validation/accuracy"] == [
        i / 10 for i in range(1, 11)
    ]
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    before = len(run["metrics"])
    play(settings, tmp_path, range(1, 100), ValueError, chief=False)
    assert len(run["metrics"]) == before and run["status"] == "FINISHED"


def test_a_trial_that_ends_early_is_pruned_and_not_failed(tmp_path, monkeypatch):
    in_place(monkeypatch, "mlflow", MlflowClient=Client)
    in_place(monkeypatch, "mlflow.entities", Param=lambda key, value: (key, value))
    monkeypatch.setattr(Client, "runs", {})
    play(config(name="mlflow", uri="folder"), tmp_path, range(1, 20), Pruned)
    (run,) = Client.runs.values()
    assert run["status"] == "KILLED" and run["kerasft.state"] == "pruned"
    codes, run = [], SimpleNamespace(log=lambda figures, step: None, tags=("mine",))
    run.finish = lambda exit_code: codes.append(exit_code)
    in_place(monkeypatch, "wandb", init=lambda **keys: run, Settings=lambda **keys: keys)
    play(config(name="wandb"), tmp_path, range(1, 20), Pruned)
    assert run.tags == ("mine", "pruned") and codes == [0]


def test_a_server_that_is_gone_later_does_not_end_a_run(tmp_path, monkeypatch):
    def log(figures, step):
        raise ConnectionError("no route to host\nand more")

    run, lines = SimpleNamespace(log=log), []
    in_place(monkeypatch, "wandb", init=lambda **keys: run, Settings=lambda **keys: keys)
    play(config(name="wandb"), tmp_path, range(1, 201), terminal=SimpleNamespace(line=lines.append))
    assert lines == ["warning: training.tracking: wandb: no route to host; it gets no more of this run"]


def test_a_server_that_can_not_be_reached_at_first_is_a_mistake(tmp_path, monkeypatch):
    def init(**keys):
        raise ConnectionError("no route to host")

    in_place(monkeypatch, "wandb", init=init, Settings=lambda **keys: keys)
    with pytest.raises(UserError, match="training.tracking: wandb: no route to host"):
        play(config(name="wandb"), tmp_path, range(1, 2))


def test_wandb_is_told_the_same_and_stays_offline(tmp_path, monkeypatch):
    told = []
    run = SimpleNamespace(
        log=lambda figures, step: told.append((step, figures)), finish=lambda exit_code: told.append(exit_code)
    )
    in_place(monkeypatch, "wandb", init=lambda **keys: told.append(keys) or run, Settings=lambda **keys: keys)
    play(config(name="wandb"), tmp_path, range(1, 201), ValueError)
    begun, *middle, ended = told
    assert begun["mode"] == "offline" and begun["resume"] == "allow" and begun["dir"] == str(tmp_path)
    assert begun["id"] == "0123456789abcdef" * 2 and begun["config"]["training.epochs"] == "3.0"
    assert (100, {"validation/accuracy": 0.1}) in middle and ended == 1


def test_a_program_that_is_not_installed_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"training.tracking: mlflow is not installed: .*\[mlflow\]"):
        trackers(config(name="mlflow"))
    assert (
        trackers(config(name="mlflow").model_copy(update={"training": Config.model_fields["training"].default})) == []
    )


def test_sections_become_dotted_keys():
    assert flat({"a": {"b": 1, "c": {}}, "d": "x", "e": None}) == {"a.b": "1", "a.c": "{}", "d": "x", "e": "null"}


def test_mlflow_itself_keeps_what_it_was_told(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/tracked.db"
    settings = config(name="mlflow", uri=uri)
    play(settings, tmp_path, range(1, 551), Interrupted)
    play(settings, tmp_path, range(551, 1001))
    client = mlflow.MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("kerasft").experiment_id])
    assert run.info.status == "FINISHED" and run.data.metrics["validation/accuracy"] == 1.0
    assert run.data.params["training.epochs"] == "3.0"
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 200


def test_wandb_itself_writes_its_files(tmp_path):
    pytest.importorskip("wandb")
    play(config(name="wandb"), tmp_path, range(1, 201))
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
