"""Few shots: which rows are drawn, what is refused, and the figures of several draws."""

import json
import statistics
from pathlib import Path

import pytest
from support.projects import train_in

from kerasft import evaluate, inspect, predict, session, train
from kerasft.config.load import load_config
from kerasft.data.splits import stage_splits
from kerasft.errors import UserError, UserErrors
from kerasft.tasks.registry import create_task
from kerasft.training import few_rows_head

FEW = {
    "data": {"shots": 4, "draws": 3, "validation": "leave_one_out"},
    "training": {"fit_head": True, "epochs": None, "steps": 0},
    "task": {"pooling": "unit"},
}


def drawn(path, *overrides):
    config = load_config(path, ["data.draws=1", *overrides])
    return stage_splits(config, create_task(config), lambda line: None)


def test_shots_are_the_same_whatever_the_order_and_fewer_are_among_more(project):
    path = project(**FEW)
    rows = [json.loads(line) for line in Path("train.jsonl").read_text().splitlines()]
    four = drawn(path)
    train = four.tables["train"]
    assert sorted(train.column("label")) == ["money"] * 4 + ["sport"] * 4
    assert len(set(train.column("text"))) == 8
    assert four.record()["counts"]["shots"]["rows"] == train.column("where")  # which the run keeps
    assert four.tables["validation"].fingerprint() == train.fingerprint()
    more, other = drawn(path, "data.shots=6").tables["train"], drawn(path, "data.draw=1").tables["train"]
    assert set(train.column("text")) < set(more.column("text"))
    assert set(train.column("text")) != set(other.column("text"))
    Path("train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)))
    assert set(drawn(path).tables["train"].column("text")) == set(train.column("text"))


def test_what_few_rows_cant_do_is_refused_with_what_to_write(project):
    path = project(**FEW)
    with pytest.raises(UserErrors, match="data.validation: a share of 0.1 of 4 shots.*leave_one_out"):
        load_config(path, ["data.validation=0.1"])
    with pytest.raises(UserErrors, match="leave_one_out is for a head that is fitted.*training.steps: 0"):
        load_config(path, ["training.steps=5"])
    with pytest.raises(UserErrors, match="steps: 0 learns nothing"):
        load_config(path, ["training.fit_head=false", "data.validation=test.jsonl"])
    with pytest.raises(UserErrors, match="data.draws: 3 is for data.shots"):
        load_config(path, ["data.shots=null"])
    with pytest.raises(UserErrors, match="data.shots: 4 rows of each label"):
        load_config(path, ["task.problem=multi_label", "training.fit_head=false", "training.steps=1"])
    with pytest.raises(UserError, match="data.shots: 90 different rows of each label, but 'money' has .*lower it to"):
        drawn(path, "data.shots=90")
    with pytest.raises(UserError, match="data.draws: its runs take no tables"):
        train(path, tables={})
    with pytest.raises(UserError, match="data.draws: 3 are as many runs"):
        session.train_run(load_config(path))
    eight = "".join(Path("train.jsonl").read_text().splitlines(keepends=True)[:8])
    Path("train.jsonl").write_text(eight)
    with pytest.raises(UserError, match="0.1 of 8 rows is less than one row; name a file, or write leave_one_out"):
        drawn(path, "data.shots=null", "data.validation=0.1")


def test_few_shots_are_inspected_without_their_copies(project, capsys):
    project(**FEW)
    assert inspect.main(["config.yaml"]) in (0, 1)
    captured = capsys.readouterr()
    assert "8 train" in captured.out + captured.err or "train" in captured.out
    assert "validation" not in captured.out


def test_three_draws_from_a_config_to_a_model_that_answers(project, capsys):
    # The head is held to the names of labels, and learns from its own answers to texts without labels, too.
    training = {**FEW["training"], "self_training": {"unlabelled": "more.txt", "rounds": 2}}
    task = {**FEW["task"], "labels": ["money", "sport"]}
    path = project(**{**FEW, "training": training, "task": task}, prompting={"method": "embedding"})
    texts = [json.loads(line)["text"] for line in Path("test.jsonl").read_text().splitlines()[:3]]
    # A missing file is told before anything of the model is looked for.
    assert train.main(["config.yaml", "model.preset=missing", "data.draws=1"]) == 2
    assert "more.txt" in capsys.readouterr().err
    Path("more.txt").write_text("".join(f"{text}\n" for text in ["goal now", "bank now", "goal now", *texts]))
    for override, fault in (
        ("training.steps=3", "training.self_training: is for the fitted head of few rows"),
        ("prompting.method=masked_lm", "fits the head of prompting.method embedding, not of masked_lm"),
    ):
        with pytest.raises(UserErrors, match=fault):
            load_config(path, [override])
    steps = ["training.contrastive={}", "training.steps=4", "training.batch_size=8", "training.self_training=null"]
    with pytest.raises(UserErrors, match="training.contrastive: moves the vectors that label texts stand for"):
        load_config(path, steps)
    folder = Path.cwd()
    said = train_in(folder)
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())
    every = metrics["test"]["accuracy_by_draw"]
    assert len(every) == 3 and metrics["draws"] == 3
    assert metrics["test"]["accuracy"] == pytest.approx(statistics.fmean(every))
    assert metrics["test"]["accuracy_deviation"] == pytest.approx(statistics.pstdev(every))
    assert f"test accuracy: {metrics['test']['accuracy']:.4f}, mean of 3 draws" in said
    assert metrics["training"]["steps"] == 0
    assert any("of the head before training.self_training" in warning for warning in metrics["warnings"])
    children = [json.loads(Path(f"runs/tiny.draws/draw-{draw}/metrics.json").read_text()) for draw in (1, 2)]
    assert [child["test"]["accuracy"] for child in children] == every[1:]
    rows = json.loads(Path("runs/tiny/cleaning.json").read_text())["counts"]["shots"]["rows"]
    assert len(rows) == 8 and all("train.jsonl:" in row for row in rows)
    assert metrics["validation"]["accuracy"] <= 1.0 and "interval" in metrics["validation"]
    Path("texts.txt").write_text("goal match\n")
    assert predict.main(["saved_models/tiny", "--input", "texts.txt"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["label"] in ("sport", "money")
    assert evaluate.main(["runs/tiny", "--split", "validation"]) == 2
    assert "leave_one_out answered each row" in capsys.readouterr().err
    assert not Path("saved_models/draw-1").exists()
    Path("runs/tiny").rename("runs/other")  # as if the command had been stopped before draw 0
    assert train.main(["config.yaml", "--resume", "data.shots=5"]) == 2  # its figures are not those of draw 1
    assert "data.shots: 5, but runs/tiny.draws/draw-1 began with 4" in capsys.readouterr().err
    train_in(folder, "--resume")
    again = json.loads(Path("runs/tiny/metrics.json").read_text())
    assert again["test"]["accuracy_by_draw"] == every
    del again["draws"]  # as if it had been stopped between draw 0 and the means
    Path("runs/tiny/metrics.json").write_text(json.dumps(again | {"test": {**again["test"], "accuracy": every[0]}}))
    train_in(folder, "--resume")
    means = json.loads(Path("runs/tiny/metrics.json").read_text())
    assert means["test"]["accuracy_by_draw"] == every and means["draws"] == 3


def test_a_backbone_learns_by_comparing_and_the_head_is_fitted_at_the_end(project, monkeypatch):
    training = {"fit_head": True, "contrastive": {"texts_per_label": 4}, "epochs": 3, "batch_size": 16}
    training["self_training"] = {"unlabelled": "more.txt", "rounds": 1}
    path = project(data={"shots": 8, "validation": "leave_one_out"}, training=training, task={"pooling": "unit"})
    Path("more.txt").write_text("goal now\nbank now\n")
    learnt = []
    rounds = few_rows_head.self_trained
    monkeypatch.setattr(few_rows_head, "self_trained", lambda *a: learnt.append(a[1].shape) or rounds(*a))
    for override, fault in (
        ("training.fit_head=false", "training.contrastive: trains no head"),
        ("data.shots=1", "no two texts of a label"),
        ("training.batch_size=10", "are to be groups of 4"),
        ("training.gradient_accumulation=2", "compares all rows of a batch"),
        ("training.objective={name: focal}", "but training.contrastive is one"),
    ):
        with pytest.raises(UserErrors, match=fault):
            load_config(path, [override])
    train_in(Path.cwd())
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())
    assert metrics["training"]["steps"] == 3 == metrics["training"]["best_step"]
    assert metrics["test"]["accuracy"] > 0.9  # words give the label away, and sixteen texts have nearly all of them
    assert learnt and {shape[0] for shape in learnt} == {2}  # by the vectors that the steps ended with
    for words in ("the backbone has learnt from these rows", "of the head before training.self_training"):
        assert any(words in warning for warning in metrics["warnings"])
