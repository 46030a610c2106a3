"""`kerasft ensemble`: finished runs as one SavedModel, and what can't be one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import kerasft
from kerasft import train
from kerasft.cli import main
from kerasft.config.load import load_config
from kerasft.config.objective import DistillationConfig
from kerasft.ensembles import command
from kerasft.errors import UserError
from kerasft.runs import Run
from kerasft.tasks.registry import create_task
from kerasft.training.objectives.run_teacher import EnsembleTeacher, RunTeacher, taught

TEXTS = ["goal match team", "bank market", "goal bank", "score"]


def other_head(run: Path, change: float) -> None:
    """The same backbone with another head."""
    file = run / "model" / "head.weights.npz"
    weights = dict(np.load(file))
    random = np.random.default_rng(0)
    np.savez(
        file,
        **{
            name: value + change * random.normal(size=value.shape).astype(value.dtype)
            for name, value in weights.items()
        },
    )


def test_runs_are_exported_as_one_model_that_gives_their_mean(trained_project, capsys):
    for name in ("two", "three"):
        shutil.copytree("runs/tiny", f"runs/{name}")
    other_head(Path("runs/two"), 2.0)
    assert command.main(["runs/tiny", "runs/two", "runs/three", "name=both", "export.name=served"]) == 0
    said = capsys.readouterr().out
    assert "export: saved_models/served/1" in said
    record = json.loads(Path("runs/both-ensemble/ensemble.json").read_text(encoding="utf-8"))
    assert record["shared_backbones"] == 2 and [each["run"] for each in record["members"]][0] == "runs/tiny"
    metrics = json.loads(Path("runs/both-ensemble/metrics.json").read_text(encoding="utf-8"))
    of_run = json.loads(Path("runs/tiny/metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["members"][0]["accuracy"] == of_run["test"]["accuracy"]
    answers = kerasft.load("saved_models/served").answer(TEXTS)
    members = [kerasft.load(f"runs/{name}").answer(TEXTS) for name in ("tiny", "two", "three")]
    for row, answer in enumerate(answers):
        for label, probability in answer["probabilities"].items():
            mean = np.mean([member[row]["probabilities"][label] for member in members])
            assert probability == pytest.approx(mean, abs=1e-5)
        assert answer["uncertainty"] > 0
    assert answer["uncertainty"].__class__ is float
    # The backbone is there once: all variables of the SavedModel are one run's, and two further heads.
    loaded = tf.saved_model.load("saved_models/served/1")
    heads = len(np.load("runs/tiny/model/head.weights.npz").files)
    model = Run.open(Path("runs/tiny")).load().model
    assert len(loaded.weights) == len(model.weights) + 2 * heads
    assert Path("runs/both-ensemble/report.html").is_file()
    lines = Path("runs/both-ensemble/predictions/test.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 33


def test_members_that_are_copies_are_the_run_itself(trained_project):
    shutil.copytree("runs/tiny", "runs/copy")
    assert command.main(["runs/tiny", "runs/copy", "export.enabled=false"]) == 0
    metrics = json.loads(Path("runs/tiny-ensemble/metrics.json").read_text(encoding="utf-8"))
    before = json.loads(Path("runs/tiny/metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["accuracy"] == before["test"]["accuracy"]
    assert metrics["test"]["log_loss"] == pytest.approx(before["test"]["log_loss"], rel=1e-4)
    assert command.main(["runs/tiny", "runs/copy", "export.enabled=false"]) == 2  # it is there


def test_an_ensemble_teaches_a_run(trained_project, monkeypatch, capsys):
    shutil.copytree("runs/tiny", "runs/copy")
    assert command.main(["runs/tiny", "runs/copy", "export.enabled=false"]) == 0
    asked = []
    answers = RunTeacher.__call__

    def ask(self, train):
        asked.append((self.folder.name, answers(self, train)))
        return asked[-1][1]

    joined = []
    together = EnsembleTeacher.__call__
    monkeypatch.setattr(RunTeacher, "__call__", ask)
    monkeypatch.setattr(EnsembleTeacher, "__call__", lambda *a: joined.append(together(*a)) or joined[-1])
    Path("more.txt").write_text("goal bank\nmatch coach\n")
    objective = "training.objective={name: distillation, teacher: runs/tiny-ensemble, unlabelled: more.txt}"
    student = ["config.yaml", "name=student", "training.epochs=1", "export.enabled=false"]
    assert train.main([*student, objective]) == 0
    assert [name for name, _ in asked] == ["tiny", "copy"] and asked[0][1].shape == (72 + 2, 2)
    np.testing.assert_allclose(joined[0], asked[0][1], atol=1e-5)  # both are one run
    assert train.main([*student, "--overwrite", objective.replace("more.txt", "more.txt, hidden: 1")]) == 2
    assert "training.objective.hidden: runs/tiny-ensemble is an ensemble" in capsys.readouterr().err
    smaller = ["compress", "runs/tiny-ensemble"]
    assert main([*smaller, "method=vocabulary", "name=two"]) == 2
    assert "is an ensemble, and method=vocabulary makes a run from a run" in capsys.readouterr().err
    assert main([*smaller, "method=distil", "name=two", "teacher=runs/tiny"]) == 2
    assert "teacher: runs/tiny-ensemble is an ensemble, which teaches itself" in capsys.readouterr().err
    assert main([*smaller, "method=distil", "name=two", "layers=9"]) == 2
    assert "begins with its member runs/tiny" in capsys.readouterr().err
    other = create_task(load_config("config.yaml", ["task.problem=regression"]))  # the mean has another form there
    section = DistillationConfig(name="distillation", teacher="runs/tiny-ensemble")
    with pytest.raises(UserError, match="is an ensemble, which teaches one label of several"):
        taught(section)(None, other)
    metrics = json.loads(Path("runs/copy/metrics.json").read_text(encoding="utf-8"))
    metrics["training"]["sha256"] = "0"
    Path("runs/copy/metrics.json").write_text(json.dumps(metrics))
    assert train.main([*student, "--overwrite", objective]) == 2
    assert "its member runs/copy was trained again since" in capsys.readouterr().err


@pytest.mark.long
def test_a_smaller_model_of_an_ensemble_is_a_run_beside_it_with_an_export(project, capsys):
    config = str(project(training={"epochs": 1}, rows=60, model={"dropout": 0.0}))
    assert command.main([config, "--members", "2", "export.enabled=false"]) == 0
    smaller = ["compress", "runs/tiny-ensemble", "method=distil", "name=one"]
    assert main([*smaller, "training.epochs=1"]) == 0
    assert "the student begins with its member runs/tiny-ensemble/members/seed-0" in capsys.readouterr().err
    metrics = json.loads(Path("runs/one/metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["rows"] == 33 and metrics["compression"]["settings"]["teacher"] == "runs/tiny-ensemble"
    assert metrics["compression"]["score"]["value"] is not None and Path("saved_models/one/1").is_dir()


def test_folds_with_learnt_shares_and_one_model_of_all(project, capsys):
    config = str(project(training={"epochs": 1}, rows=60))
    arguments = [config, "--members", "2", "--folds", "--combine", "stacking", "--distil", "export.enabled=false"]
    assert command.main(arguments) == 0
    record = json.loads(Path("runs/tiny-ensemble/ensemble.json").read_text(encoding="utf-8"))
    assert sum(record["shares"]) == pytest.approx(1) and len(record["members"]) == 2
    rows = [json.loads(Path(f"runs/tiny-ensemble/members/fold-{place}/data.json").read_text()) for place in range(2)]
    assert rows[0]["validation"] != rows[1]["validation"] and all("test" not in each for each in rows)
    distilled = json.loads(Path("runs/tiny-distilled/metrics.json").read_text(encoding="utf-8"))
    assert distilled["test"]["rows"] == 33
    capsys.readouterr()
    again = [config, "--members", "2", "--folds", "--resume", "export.enabled=false"]
    assert command.main(again) == 0
    assert capsys.readouterr().err.count("is there") == 2
    assert command.main([*again, "training.epochs=2"]) == 2  # finished members are of another config
    assert "training.epochs: 2.0, but runs/tiny-ensemble/members/fold-0 began with 1.0" in capsys.readouterr().err
    assert command.main([config, "--members", "3", "--folds", "--resume", "export.enabled=false"]) == 2  # other folds
    assert "the data is not what runs/tiny-ensemble/members/fold-0 began with" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["config.yaml"], "one config, with --members N"),
        (["config.yaml", "--members", "1"], "--members 1: write 2 or more"),
        (["config.yaml", "--members", "2", "--combine", "stacking"], "add --folds, or take mean"),
        (["config.yaml", "--members", "2", "task.problem=regression", "--combine", "vote"], "vote is for one label"),
        (["config.yaml", "--members", "2", "task.problem=multi_label", "--distil"], "--distil is for one label"),
        (["config.yaml", "--members", "2", "--distil", "training.objective={name: rdrop}"], "set it to null"),
        (["config.yaml", "--members", "2", "training.averaging={name: soup, runs: [runs/tiny]}"], "have others"),
        (["config.yaml", "--members", "2", "continual={method: replay, stages: 2}"], "kerasft ensemble needs"),
        (["config.yaml", "--members", "2", "export.adapters={a: run:runs/tiny}"], "one SavedModel of whole models"),
        (["config.yaml", "--members", "2", "export.formats=[saved_model, litert]"], "an ensemble is one SavedModel"),
        (["runs/tiny"], "one run is no ensemble"),
        (["runs/tiny", "runs/tiny"], "a run is named twice"),
        (["runs/tiny", "runs/none"], "is not a run"),
        (["runs/tiny", "runs/none", "--members", "2"], "--members and --folds are for a config"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(trained_project, arguments, message, capsys):
    assert command.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_members_with_other_labels_are_refused_and_another_order_is_mapped(trained_project, capsys):
    shutil.copytree("runs/tiny", "runs/turned")
    facts = Path("runs/turned/model/kerasft_task.json")
    content = json.loads(facts.read_text(encoding="utf-8"))
    content["state"]["labels"] = content["state"]["labels"][::-1]
    facts.write_text(json.dumps(content), encoding="utf-8")
    file = Path("runs/turned/model/head.weights.npz")
    head = dict(np.load(file))
    width = {name for name, value in head.items() if value.shape[-1] == 2}
    np.savez(file, **{name: value[..., ::-1] if name in width else value for name, value in head.items()})
    assert command.main(["runs/tiny", "runs/turned", "export.enabled=false"]) == 0
    metrics = json.loads(Path("runs/tiny-ensemble/metrics.json").read_text(encoding="utf-8"))
    before = json.loads(Path("runs/tiny/metrics.json").read_text(encoding="utf-8"))
    assert metrics["test"]["log_loss"] == pytest.approx(before["test"]["log_loss"], rel=1e-4)
    content["state"]["labels"] = ["sport", "weather"]
    facts.write_text(json.dumps(content), encoding="utf-8")
    assert command.main(["runs/tiny", "runs/turned", "name=x"]) == 2
    assert "differ in the label" in capsys.readouterr().err
