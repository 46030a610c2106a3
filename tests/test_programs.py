"""The programs as a user calls them, from a config to an answer."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.projects import SAID, make_project

from kerasft import check_servable, evaluate, export, predict, session, train, verify
from kerasft.console.terminal import Terminal
from kerasft.runs import Run

ROOT = Path(__file__).parent.parent


def run(module: str, *args: str, **keys) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", f"kerasft.{module}", *args],
        capture_output=True, text=True, env=environment, timeout=300, **keys,
    )  # fmt: skip


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_one_command_from_text_to_servable_model(trained_project, capsys):
    said = Path(SAID).read_text(encoding="utf-8")
    run_folder = Path("runs/tiny")
    metrics = json.loads((run_folder / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.95  # the words give the label away
    assert metrics["test"]["interval"]["low"] <= metrics["test"]["accuracy"] <= metrics["test"]["interval"]["high"]
    assert metrics["training"]["steps"] == 27 and metrics["training"]["real_tokens_per_second"] > 0
    assert metrics["model"]["trainable_parameters"] == metrics["model"]["parameters"] > 0
    assert {"kerasft", "tensorflow", "keras", "keras-hub"} <= metrics["versions"].keys()

    predictions = lines(run_folder / "predictions" / "test.jsonl")
    assert [row["text"] for row in predictions] == [row["text"] for row in lines(Path("test.jsonl"))]
    right = np.mean([row["label"] == row["truth"] for row in predictions])
    assert right == pytest.approx(metrics["test"]["accuracy"])

    assert (run_folder / "report.html").stat().st_size > 10_000
    assert list((run_folder / "tensorboard").iterdir())
    for expected in ("sport", "money", "report.html", "saved_models/tiny/1", "docker run", "curl"):
        assert expected in said
    assert (Path("saved_models/tiny/1") / "saved_model.pb").is_file()
    facts = json.loads(Path("saved_models/tiny/1/assets.extra/kerasft.json").read_text())
    assert facts["reference"] == json.loads((run_folder / "reference.json").read_text())
    labels = facts["reference"]["measures"]["label"]
    assert sum(labels["counts"]) == labels["rows"] == facts["reference"]["rows"] == metrics["validation"]["rows"]
    assert set(facts["reference"]["measures"]) == {"label", "confidence", "tokens", "unknown_share"}

    # Killed behind the export's rename and before its own end, a run that goes on does not export again.
    (run_folder / "finished.json").unlink()
    (Path("saved_models/tiny/serving") / "README.md").unlink()
    session._complete(Run.open(run_folder), None, Terminal())
    assert "export: saved_models/tiny/1" in capsys.readouterr().out
    assert (run_folder / "finished.json").exists() and Path("saved_models/tiny/serving/README.md").exists()
    assert sorted(path.name for path in Path("saved_models/tiny").iterdir()) == [
        "1",
        "MODEL_CARD.md",
        "model_card.json",
        "serving",
    ]
    assert [path.name for path in Path().rglob(".*")] == [".generated.json"]


def test_run_and_export_answer_alike_and_evaluate_repeats_the_figures(trained_project, tiny_preset, capsys):
    truth = json.loads(Path("runs/tiny/metrics.json").read_text())
    capsys.readouterr()

    Path("in.txt").write_text("goal match\n\nbank price of the stock\n", encoding="utf-8")
    answers = []
    for model in ("runs/tiny", "saved_models/tiny", "saved_models/tiny/1"):
        assert predict.main([model, "--input", "in.txt", "--batch-size", "2"]) == 0
        answers.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert [row["label"] for row in answers[0]][::2] == ["sport", "money"]
    assert len(answers[0]) == 3  # the empty line is a text too
    for other in answers[1:]:
        for mine, theirs in zip(answers[0], other):
            assert mine["label"] == theirs["label"] and mine["score"] == pytest.approx(theirs["score"], abs=1e-5)
    assert predict.main(["runs/tiny", "--input", "in.txt", "--precision", "mixed_bfloat16"]) == 0
    for mine, row in zip(answers[0], capsys.readouterr().out.splitlines(), strict=True):
        rough = json.loads(row)
        assert rough["label"] == mine["label"] and rough["score"] == pytest.approx(mine["score"], abs=0.05)

    assert evaluate.main(["runs/tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == truth["test"]["accuracy"]
    assert evaluate.main(["runs/tiny", "--data", "train.jsonl", "--json"]) == 0
    assert sum(row["support"] for row in json.loads(capsys.readouterr().out)["per_class"].values()) == 96

    assert export.main(["runs/tiny"]) == 0
    assert Path("saved_models/tiny/2/saved_model.pb").is_file()
    served = Path("saved_models/tiny/serving")
    assert 'key: "stable" value: 2' in (served / "models.config").read_text()
    assert "to operate it: saved_models/tiny/serving/README.md" in capsys.readouterr().out
    assert check_servable.main(["saved_models/tiny/2", "--run"]) == 0
    assert ", 9 warm-up requests; servable: " in capsys.readouterr().out
    assert not list(served.glob("*.new"))

    training = {"epochs": 1, "optimizer": {"learning_rate": 1e-6}}
    again = make_project(trained_project, tiny_preset, model={"preset": "run:runs/tiny"}, training=training)
    assert train.main([str(again), "name=again", "export.enabled=false"]) == 0


@pytest.mark.parametrize(
    ("problem", "pair", "metric", "least"),
    [("multi_label", False, "macro_f1", 0.7), ("regression", True, "pearson", 0.9)],
)
def test_other_problems(project, capsys, problem, pair, metric, least):
    project(problem, pair, training={"epochs": 6})
    assert train.main(["config.yaml"]) == 0
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())
    assert metrics["test"][metric] > least
    capsys.readouterr()
    row = {"text": "goal score team"} | ({"other": "a match"} if pair else {})
    Path("in.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert predict.main(["saved_models/tiny", "--input", "in.jsonl"]) == 0
    (answer,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert answer["value"] > 2.5 if problem == "regression" else answer["labels"] == ["sport"]


def test_every_training_option_trains(project):
    """Options that change the numbers and must work together, not only alone."""
    project(
        training={
            "epochs": 10,
            "gradient_accumulation": 2,
            "label_smoothing": 0.1,
            "class_weights": "balanced",
            "ema": 0.8,
            "fit_head": True,
            "precision": "mixed_bfloat16",
            "strategy": "mirrored",
            "devices": 2,
            "early_stopping": {"metric": "log_loss", "patience": 9},
            "optimizer": {
                "learning_rate": 3e-2,
                "head_learning_rate": 1e-2,
                "layer_decay": 0.9,
                "schedule": "cosine",
                "warmup": 3,
            },
        },
        model={"trainable": "last_1_layers", "dropout": 0.2},
        export={"enabled": False},
        data={"clean": {"duplicates": "drop"}},
    )
    assert train.main(["config.yaml"]) == 0
    cleaned = json.loads(Path("runs/tiny/cleaning.json").read_text())
    assert len(cleaned["rows"]) == cleaned["counts"]["duplicates"]["rows"] > 0
    assert all(row["where"].startswith("train.jsonl:") and row["like"] for row in cleaned["rows"])
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())
    assert metrics["training"]["replicas"] == 2
    assert metrics["model"]["trainable_parameters"] < metrics["model"]["parameters"]
    assert metrics["test"]["accuracy"] > 0.7


def _events() -> list[Path]:
    return sorted(Path("runs/tiny/tensorboard").rglob("*"))


def stop(number: signal.Signals, *args: str) -> subprocess.CompletedProcess:
    """Starts a training, waits for its first steps, and sends it a signal."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "kerasft.train", *args],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    deadline, before = time.monotonic() + 200, _events()
    while _events() == before and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    time.sleep(1.0)
    process.send_signal(number)
    out, err = process.communicate(timeout=200)
    return subprocess.CompletedProcess(args, process.returncode, out, err)


def test_signals_save_and_resume_ends_with_the_same_bits(project, capsys):
    # long enough to be caught in the middle
    project(rows=400, training={"epochs": 12}, export={"enabled": False}, model={"dropout": 0.1})
    stopped = stop(signal.SIGINT, "config.yaml")
    assert stopped.returncode == 130, stopped.stderr
    last = stopped.stderr.strip().splitlines()[-1]
    assert "interrupted at step" in last and "--resume" in last
    stopped = stop(signal.SIGTERM, "runs/tiny/config.yaml", "--resume")
    if stopped.returncode:  # it may have ended before the signal came
        assert stopped.returncode == 143, stopped.stderr
        assert "terminated at step" in stopped.stderr.splitlines()[-1]
        assert train.main(["runs/tiny/config.yaml", "--resume"]) == 0
    assert train.main(["config.yaml", "name=whole"]) == 0
    one, other = (np.load(f"runs/{name}/model/head.weights.npz") for name in ("tiny", "whole"))
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])
    ended = [json.loads(Path(f"runs/{name}/metrics.json").read_text()) for name in ("tiny", "whole")]
    assert ended[0]["test"] == ended[1]["test"]
    assert ended[0]["training"]["sha256"] == ended[1]["training"]["sha256"]
    capsys.readouterr()
    assert train.main(["runs/tiny/config.yaml", "--resume"]) == 2
    assert "is finished" in capsys.readouterr().err


def test_a_run_that_diverges_names_the_step_and_keeps_the_checkpoint_before(project, capsys):
    project(
        training={
            "epochs": None,
            "steps": 12,
            "steps_per_loop": 4,
            "evaluate_every": 4,
            "optimizer": {"clip_norm": None},
        }
    )
    arguments = ["config.yaml", "training.optimizer.learning_rate=1.0e+30", "training.optimizer.warmup=6"]
    assert train.main([*arguments, "training.optimizer.schedule=constant"]) == 3
    told = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"no longer a number at step \d+; lower training.optimizer.learning_rate", told)
    for manifest in Path("runs/tiny/checkpoints").glob("ckpt-*.json"):
        reader = tf.train.load_checkpoint(str(manifest.with_suffix("")))
        for name, dtype in reader.get_variable_to_dtype_map().items():
            assert not dtype.is_floating or np.isfinite(reader.get_tensor(name)).all(), name


def test_verify_replays_the_last_steps(trained_project, capsys):
    before = sorted(Path("runs").rglob("*"))
    assert verify.main(["runs/tiny"]) == 0
    assert "every bit is reproduced" in capsys.readouterr().out
    # another history than the recorded one
    manifests = Path("runs/tiny/checkpoints").glob("ckpt-*.json")
    older, _ = sorted(manifests, key=lambda path: json.loads(path.read_text())["step"])[-2:]
    manifest = json.loads(older.read_text())
    older.write_text(json.dumps({**manifest, "step": manifest["step"] - 1}))
    assert verify.main(["runs/tiny"]) == 1
    assert "is not reproduced" in capsys.readouterr().err
    assert sorted(Path("runs").rglob("*")) == before


BAD = [
    ({"training": {"batch_sise": 8}}, [], "batch_size"),
    ({"training": {"batch_size": "many"}}, [], "training.batch_size"),
    ({"data": {"train": "trian.jsonl"}}, [], "train.jsonl"),
    ({"data": {"columns": {"text": "txt", "label": "label"}}}, [], "'text'"),
    ({"data": {"columns": {"text": "text"}}}, [], "data.columns.label"),
    ({"training": {"early_stopping": {"metric": "f2"}}}, [], "macro_f1"),
    ({"model": {"preset": "nowhere/at/all"}}, [], "model.preset"),
    ({"output": {"dir": "/proc/nowhere"}}, [], "output.dir"),
    ({"export": {"dir": "config.yaml"}}, [], "export.dir"),
    ({}, ["--resume", "--overwrite"], "--resume"),
    ({}, ["training.epoch=1"], "did you mean epochs?"),
]


@pytest.mark.parametrize(("change", "args", "expected"), BAD)
def test_bad_input_is_one_line_and_exit_code_2(project, capfd, change, args, expected):
    project(**change)
    capfd.readouterr()
    begun = time.monotonic()
    assert train.main(["config.yaml", *args]) == 2
    told = capfd.readouterr().err
    assert len(told.splitlines()) == 1 and expected in told
    assert time.monotonic() - begun < 20  # a generous bound: other work may run beside the tests
    assert not Path("runs").exists() and not Path("saved_models").exists()


def test_bad_input_ends_a_process_with_one_line_and_exit_code_2(project):
    change, args, expected = BAD[-1]
    project(**change)
    done = run("train", "config.yaml", *args)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and expected in done.stderr


def content(name: str, text: str) -> None:
    Path(name).write_bytes(text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("train.jsonl", "", "empty"),
        ("train.jsonl", '{"text": "goal", "label": "a"}\n{"text": oops}\n', "train.jsonl:2"),
        ("train.jsonl", '{"text": "goal", "label": "a"}\n{"text": "\udcff", "label": "b"}\n', "train.jsonl:2"),
        ("train.jsonl", '{"text": "goal", "label": "a"}\n' * 20, "at least two"),
        ("train.jsonl", '{"text": "goal", "label": "a"}\n{"text": null, "label": "b"}\n', "train.jsonl:2"),
        ("train.jsonl", '{"text": "goal", "label": "a"}\n{"text": "x", "label": ""}\n', "train.jsonl:2"),
        ("test.jsonl", '{"text": "goal", "label": "sport"}\n{"text": "x", "label": "art"}\n', "test.jsonl:2"),
    ],
)
def test_bad_data_names_file_and_line(project, capsys, file, text, expected):
    project()
    content(file, text)
    assert train.main(["config.yaml"]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1 and expected in told
    assert not Path("runs").exists()


def test_a_batch_that_does_not_divide_is_refused_before_anything_is_written(project, capsys):
    project(training={"strategy": "mirrored", "devices": 2, "batch_size": 7})
    assert train.main(["config.yaml"]) == 2
    assert "use 6 or 8" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_run_is_never_overwritten_unasked(trained_project):
    before = Path("runs/tiny/metrics.json").read_text()
    assert train.main(["config.yaml"]) == 2
    assert train.main(["config.yaml", "--overwrite", "data.train=nothing.jsonl"]) == 2
    assert Path("runs/tiny/metrics.json").read_text() == before
    assert train.main(["config.yaml", "--overwrite", "training.epochs=1", "export.enabled=false"]) == 0
    assert json.loads(Path("runs/tiny/metrics.json").read_text())["training"]["steps"] == 9


def test_predict_streams_and_names_the_bad_line(trained_project, monkeypatch, capsys):
    text = '{"text": "goal"}\n{"text": "bank"}\nnot json\n'
    reads, writes = os.pipe()
    os.write(writes, text.encode())
    os.close(writes)
    with open(reads, encoding="utf-8") as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        command = ["runs/tiny", "--input", "-", "--format", "jsonl", "--batch-size", "2"]
        assert predict.main(command) == 2
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2 and "stdin:3" in err
