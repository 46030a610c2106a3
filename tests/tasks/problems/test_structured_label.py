"""Labels with an out-of-scope answer, and labels that are paths, from text to served model."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from kerasft import predict, train
from kerasft.config.schema import Config
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.evaluation.metrics import single_label_metrics
from kerasft.tasks.problems.single_label import softmax
from kerasft.tasks.text_classification.task import TextClassification

WORDS = {
    "play/sport": ("goal", "match", "team"),
    "play/score": ("score", "coach"),
    "money": ("bank", "market", "stock"),
    "oos": ("of", "in", "and"),
}


def write(path: str, rows: int, labels: list[str], seed: int) -> None:
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(rows):
        label = str(random.choice(labels))
        text = " ".join(random.choice(WORDS[label], random.integers(2, 6)))
        lines.append(json.dumps({"text": text, "label": label}) + "\n")
    Path(path).write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("train.jsonl", 160, list(WORDS), 0)
    write("validation.jsonl", 60, list(WORDS), 1)
    write("test.jsonl", 60, list(WORDS), 2)
    write("inside.jsonl", 40, list(WORDS)[:3], 3)
    return tmp_path


def settings(preset="nowhere", validation="validation.jsonl", **task) -> dict:
    return {
        "name": "tiny",
        "task": {"name": "text_classification", **task},
        "model": {"preset": str(preset), "max_length": 12},
        "data": {
            "train": "train.jsonl",
            "validation": validation,
            "test": "test.jsonl",
            "columns": {"text": "text", "label": "label"},
        },
        "training": {"epochs": 20, "batch_size": 8, "optimizer": {"learning_rate": 1e-2, "weight_decay": 0.0}},
    }


def load(**changes):
    config = Config.model_validate(settings(**changes))
    task = TextClassification(config)
    return task, load_splits(config, task)


def answers(capsys, *args: str) -> list[dict]:
    capsys.readouterr()
    assert predict.main(list(args)) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.long
def test_both_options_from_text_to_served_model(folder, tiny_preset, capsys):
    config = settings(tiny_preset, separator="/", out_of_scope={"label": "oos"}, pooling="mean")
    Path("config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    assert train.main(["config.yaml"]) == 0
    said = capsys.readouterr().out
    assert "in-scope accuracy" in said and "accuracy at level 1" in said
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())
    test = metrics["test"]
    assert test["in_scope_accuracy"] > 0.8 and test["out_of_scope_recall"] > 0.5 and test["threshold"] > 0
    assert [row["depth"] for row in test["levels"]] == [1, 2]
    assert test["levels"][0]["accuracy"] >= test["levels"][1]["accuracy"] == test["accuracy"]
    assert np.shape(test["confusion_matrix"]) == (4, 4) and list(test["per_class"])[-1] == "oos"
    page = Path("runs/tiny/report.html").read_text()
    assert "Out of scope" in page and "Levels" in page

    written = [json.loads(line) for line in Path("runs/tiny/predictions/test.jsonl").read_text().splitlines()]
    assert np.mean([row["label"] == row["truth"] for row in written]) == pytest.approx(test["accuracy"])
    assert {row["label"] for row in written} == set(WORDS) == {row["truth"] for row in written}
    for row in written:
        assert row["probabilities"].keys() == set(WORDS) - {"oos"}
        assert (row["label"] == "oos") == (row["score"] < test["threshold"])
        play = row["probabilities"]["play/sport"] + row["probabilities"]["play/score"]
        assert row["parents"] == pytest.approx({"play": play}, abs=1e-6)

    one, other = (answers(capsys, model, "--input", "test.jsonl") for model in ("runs/tiny", "saved_models/tiny"))
    assert [row["label"] for row in one] == [row["label"] for row in other] == [row["label"] for row in written]
    for mine, theirs in zip(one, other, strict=True):
        assert mine["parents"] == pytest.approx(theirs["parents"], abs=1e-5)
    assert Path("saved_models/tiny/1/assets.extra/labels.txt").read_text().splitlines() == sorted(set(WORDS) - {"oos"})


def test_out_of_scope_rows_have_no_part_in_training_unless_learnt(folder):
    task, tables = load(out_of_scope={"label": "oos"})
    targets = task.targets(tables["train"])
    assert task.state["labels"] == ["money", "play/score", "play/sport"] and targets.max() == 3
    weights = task.weights(targets)
    assert (weights[targets == 3] == 0).all() and (weights[targets < 3] == 1).all()
    balanced = settings(out_of_scope={"label": "oos"}) | {"training": {"class_weights": "balanced"}}
    weights = TextClassification(Config.model_validate(balanced), task.state).weights(targets)
    sums = [weights[targets == label].sum() for label in range(4)]
    assert sums[:3] == pytest.approx([sum(sums) / 3] * 3) and sums[3] == 0

    task, tables = load(out_of_scope={"label": "oos", "learn": True})
    assert task.state["labels"] == ["money", "oos", "play/score", "play/sport"]
    assert (task.weights(task.targets(tables["train"])) == 1).all()


@pytest.mark.parametrize("learn", [False, True])
def test_graph_and_numpy_decide_alike(folder, learn):
    import tensorflow as tf

    task, _ = load(out_of_scope={"label": "oos", "learn": learn})
    random = np.random.default_rng(0)
    logits = random.normal(size=(400, len(task.state["labels"]))).astype(np.float32) * 2
    targets = random.integers(0, 4, 400)
    task.problem.tune(targets, logits)
    assert 0 < task.state["threshold"] < 1
    names = task.problem.names()
    decided = [names[i] for i in task.problem.predictions(logits)]
    outputs = task.decode(tf.constant(logits), {})
    assert [label.decode() for label in outputs["label"].numpy()] == decided
    assert decided.count("oos") > 40
    sure = outputs["score"].numpy() >= np.float32(task.state["threshold"])
    likeliest = [task.state["labels"][i] for i in logits.argmax(-1)]
    assert decided == [label if yes else "oos" for label, yes in zip(likeliest, sure)]


def test_at_threshold_zero_a_learnt_class_makes_the_plain_classifier(folder):
    task, _ = load(out_of_scope={"label": "oos", "learn": True})
    random = np.random.default_rng(1)
    logits, targets = random.normal(size=(50, 4)).astype(np.float32), random.integers(0, 4, 50)
    found = task.problem.metrics(targets, logits)
    plain = single_label_metrics(targets, softmax(logits), task.state["labels"])
    assert {name: found[name] for name in plain} == plain
    assert found["threshold"] == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"separator": "|"}, "task.separator: no label has '|'"),
        ({"out_of_scope": {"label": "no"}}, "no row of data.validation has the label 'no'.*max_accuracy_loss"),
        ({"out_of_scope": {"label": "no", "learn": True}}, "no row of data.train has 'no'"),
        ({"out_of_scope": {"label": "oos"}, "validation": "inside.jsonl"}, "no row of data.validation"),
    ],
)
def test_settings_that_the_data_does_not_allow(folder, changes, message):
    with pytest.raises(UserError, match=message):
        load(**changes)


def test_without_out_of_scope_rows_accuracy_alone_sets_the_threshold(folder):
    out_of_scope = {"label": "oos", "max_accuracy_loss": 0.1}
    task, tables = load(out_of_scope=out_of_scope, validation="inside.jsonl")
    targets = task.targets(tables["validation"])
    logits = np.random.default_rng(0).normal(size=(len(targets), 3)).astype(np.float32)
    before = task.problem.metrics(targets, logits)["in_scope_accuracy"]
    task.problem.tune(targets, logits)
    after = task.problem.metrics(targets, logits)
    assert before - 0.1 - 1e-9 <= after["in_scope_accuracy"] < before
    assert after["out_of_scope_recall"] is None


def test_options_are_for_single_labels():
    with pytest.raises(ValueError, match="task.separator is for problem single_label, not regression"):
        Config.model_validate(settings(problem="regression", separator="/"))
