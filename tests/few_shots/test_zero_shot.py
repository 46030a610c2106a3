"""Answers without training, from a config or a command to a served model."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.projects import train_in
from support.small_presets import small_presets  # noqa: F401

from kerasft import evaluate, predict
from kerasft.config.load import load_config
from kerasft.errors import UserErrors

ZERO = {
    "task": {
        "labels": ["sport", "money"],
        "label_texts": {"sport": ["goal match", "team score"], "money": "bank stock"},
    },
    "prompting": {"method": "embedding", "calibration": "content_free"},
}
NOTHING = {"data": {"train": [], "validation": 0.1}}


def test_a_config_without_training_data_is_measured_exported_and_asked(project, capsys):
    project(**ZERO, **NOTHING)
    train_in(Path.cwd())
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())
    assert metrics["training"]["steps"] == 0 and 0 <= metrics["test"]["accuracy"] <= 1
    Path("texts.txt").write_text("goal match\nbank stock\n")
    answers = []
    for model in ("runs/tiny", "saved_models/tiny", "config.yaml"):
        capsys.readouterr()
        assert predict.main([model, "--input", "texts.txt"]) == 0
        answers.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert [row["label"] for row in answers[0]] == ["sport", "money"]  # texts of the labels themselves
    for other in answers[1:]:
        for one, two in zip(answers[0], other):
            assert one["label"] == two["label"]
            np.testing.assert_allclose(
                list(one["probabilities"].values()), list(two["probabilities"].values()), atol=1e-4
            )
    assert evaluate.main(["config.yaml"]) == 0
    assert f"{metrics['test']['accuracy']:.3f}" in capsys.readouterr().out


def test_a_preset_answers_by_labels_of_a_command(tmp_path, tiny_preset, small_presets, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("goal match\nbank stock\n")
    assert predict.main([str(tiny_preset), "--labels", "goal match,bank stock", "--input", "texts.txt"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["label"] for row in rows] == ["goal match", "bank stock"]
    decoder = [str(small_presets / "decoder"), "--labels", "fox,dog", "--input", "texts.txt"]
    assert predict.main([*decoder, "--template", "{text}\nthe {label}"]) == 0
    assert {json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()} <= {"fox", "dog"}
    for arguments, fault in (
        (["--labels", "one"], "are not two different labels"),
        (["--labels", "sport,sport"], "are not two different labels"),
        (["--labels", "a,b", "--template", "{text}"], "means nothing here"),
    ):
        assert predict.main([str(tiny_preset), *arguments, "--input", "texts.txt"]) == 2
        assert fault in capsys.readouterr().err


def test_label_texts_are_what_training_begins_with(project, capsys):
    project(**ZERO, training={"epochs": None, "steps": 1, "optimizer": {"learning_rate": 1e-9}})
    train_in(Path.cwd())
    Path("texts.txt").write_text("goal match\nbank stock\n")
    capsys.readouterr()
    assert predict.main(["runs/tiny", "--input", "texts.txt"]) == 0
    assert [json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()] == ["sport", "money"]


def test_what_can_not_be_is_refused(project):
    path = project(**ZERO, **NOTHING)
    for override, fault in (
        ("prompting=null", "data.train: missing"),
        ("task.labels=null", "task.labels: missing"),
        ("data.shots=20", "data.shots: 20 are rows to train on"),
        ("prompting.calibration=prior", "calibration: prior and unlabelled belong together"),
        ("task.label_texts={rain: wet}", "'rain' is none of task.labels"),
    ):
        with pytest.raises(UserErrors, match=fault):
            load_config(path, [override])
    with pytest.raises(UserErrors, match="causal_lm answers without training"):
        load_config(path, ["data.train=train.jsonl", "prompting.method=causal_lm"])
