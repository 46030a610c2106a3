"""Answers without training, from a config or a command to a served model."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.projects import make_project, train_in
from support.small_presets import small_presets  # noqa: F401

from kerasft import evaluate, predict, train
from kerasft.config.load import load_config
from kerasft.errors import UserError, UserErrors
from kerasft.tasks.registry import create_task

ZERO = {
    "task": {
        "labels": ["sport", "money"],
        "label_texts": {"sport": ["goal match", "team score"], "money": "bank stock"},
    },
    "prompting": {"method": "embedding", "calibration": "content_free"},
}
NOTHING = {"data": {"train": [], "validation": 0.1}}


def test_a_config_without_training_data_is_measured_exported_and_asked(project, capsys):
    project(**ZERO, **NOTHING, export={"labels": True})
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
    # Labels of a request: what the preset says by the same texts, whatever labels the export has.
    said = []
    preset = load_config(Path("config.yaml"), []).model.preset
    for model in ("saved_models/tiny", str(preset)):
        capsys.readouterr()
        assert predict.main([model, "--labels", "bank stock,goal match,team score", "--input", "texts.txt"]) == 0
        said.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert [row["label"] for row in said[0]] == ["goal match", "bank stock"]
    for one, two in zip(*said):
        assert one["label"] == two["label"] and one["probabilities"].keys() == two["probabilities"].keys()
        np.testing.assert_allclose(list(one["probabilities"].values()), list(two["probabilities"].values()), atol=1e-4)
    served_alike("saved_models/tiny/1")
    assert evaluate.main(["config.yaml"]) == 0
    assert f"{metrics['test']['accuracy']:.3f}" in capsys.readouterr().out


def served_alike(version: str) -> None:
    """A row with labels of its own is answered alike beside rows with more, fewer or none."""
    loaded = tf.saved_model.load(version)
    texts = ["goal match", "bank stock", "team", "x"]
    labels = ["bank stock\ngoal match", "sport\n money \n\nteam score\nother", "", "one"]
    ask = loaded.signatures["labels"]
    together = {name: value.numpy() for name, value in ask(text=tf.constant(texts), labels=tf.constant(labels)).items()}
    assert together["label"].tolist()[::2] == [b"goal match", b""] and together["probabilities"].shape == (4, 4)
    assert together["score"].tolist()[2:] == [0.0, 1.0]
    for row in range(4):
        alone = ask(text=tf.constant(texts[row : row + 1]), labels=tf.constant(labels[row : row + 1]))
        width = alone["probabilities"].shape[1]
        assert alone["label"].numpy()[0] == together["label"][row]
        np.testing.assert_allclose(alone["probabilities"][0], together["probabilities"][row, :width], atol=1e-6)
        assert not together["probabilities"][row, width:].any()


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
    with pytest.raises(UserErrors, match="export.labels: true is for prompting.method embedding, not for .*masked_lm"):
        load_config(path, ["prompting.method=masked_lm", "export.labels=true"])
    with pytest.raises(UserErrors, match="causal_lm answers without training"):
        load_config(path, ["data.train=train.jsonl", "prompting.method=causal_lm"])
    for override, fault in (
        ("training.fit_head=true", "training.fit_head: true with prompting is for few rows"),
        ("task.pooling=cls", "task.pooling: cls is for a model without prompting"),
        ("task.random_features=8", "task.random_features: 8 is for a model without prompting"),
    ):
        with pytest.raises(UserErrors, match=fault):
            load_config(path, ["data.train=train.jsonl", override])
    unread = load_config(path, ["data.train=train.jsonl", "prompting=null", "task.label_texts={sport: a game}"])
    with pytest.raises(UserError, match="task.label_texts: only prompting reads it, and that is null"):
        create_task(unread).check_config()
    with pytest.raises(UserError, match="prompting: its runs take no tables"):
        train(path, tables={})


@pytest.mark.long
def test_a_decoder_answers_with_examples_of_train(tmp_path, small_presets, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    prompting = {"method": "causal_lm", "demonstrations": 2, "template": "{text} {label}"}
    task = {"labels": ["sport", "money"], "label_texts": {"sport": "fox", "money": "dog"}}
    make_project(tmp_path, small_presets / "decoder", task=task, prompting=prompting, model={"max_length": 24})
    rows = [{"text": text, "label": label} for text in ("the", "a") for label in ("sport", "money")]
    Path("train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    train_in(tmp_path)
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())
    assert metrics["training"]["steps"] == 0 and 0 <= metrics["test"]["accuracy"] <= 1
    assert Path("saved_models/tiny").is_dir()


def test_a_decoder_is_not_trained_by_label_texts(tmp_path, small_presets, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    path = make_project(tmp_path, small_presets / "decoder", prompting={"method": "auto"})
    with pytest.raises(UserError, match="prompting.method: auto takes causal_lm for this decoder"):
        train(path)


def test_labels_that_only_training_would_tell_are_asked_for(project, capsys):
    project(prompting={"method": "embedding"})
    Path("texts.txt").write_text("goal match\n")
    assert predict.main(["config.yaml", "--input", "texts.txt"]) == 2
    assert "text_classification has to be trained first" in capsys.readouterr().err


@pytest.mark.parametrize("labels", ["", "one", "a,a"])
def test_labels_for_a_server_are_two_or_more(tmp_path, capsys, labels):
    texts = tmp_path / "texts.txt"
    texts.write_text("goal match\n")
    assert predict.main(["http://localhost:1/v1/models/tiny", "--labels", labels, "--input", str(texts)]) == 2
    assert "are not two different labels or more" in capsys.readouterr().err


def test_labels_are_for_a_preset_not_for_a_server_or_an_index(capsys):
    for model, option in (
        ("http://localhost:8501/v1/models/tiny", ["--adapter", "one"]),
        ("http://localhost:8501/v1/models/tiny", ["--template", "{label}"]),
        ("preset", ["--index", "corpus.txt"]),
    ):
        with pytest.raises(SystemExit):
            predict.main([model, "--labels", "a,b", "--input", "texts.txt", *option])
        assert re.search("--labels|--template: for a preset", capsys.readouterr().err.splitlines()[-1])
