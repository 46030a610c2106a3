"""`kerasft continue RUN --join OTHER`: the sums of two runs are those of all rows, each counted once."""

import functools
import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import kerasft
from kerasft import train
from kerasft.continual.memory.ridge import RidgeSums
from kerasft.runs import Run

program = importlib.import_module("kerasft.continue")  # whose name is a word of the language
WORDS = {"sport": "goal match", "team": "team score", "coach": "coach bench", "money": "market stock"}
SHARES = ["data.validation=0.2", "data.test=0.2"]


def write(name: str, labels: list[str], seed: int) -> None:
    draw = np.random.default_rng(seed)
    lines = [
        {"text": " ".join(draw.choice([*WORDS[label].split(), "a", "in"], 6)), "label": label} for label in labels * 20
    ]
    Path(f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def make(preset: Path, name: str, **sections) -> None:
    """Trains a run of this name on the rows of this name."""
    values = {
        "name": name, "task": {"name": "text_classification", "pooling": "mean"},
        "model": {"preset": str(preset), "max_length": 12},
        "data": {"train": f"{name}.jsonl", "validation": 0.2, "test": 0.2,
                 "columns": {"text": "text", "label": "label"}},
        "continual": {"method": "analytic", "features": 48}, "export": {"enabled": False}, **sections,
    }  # fmt: skip
    Path("config.yaml").write_text(yaml.safe_dump(values))
    assert train.main(["config.yaml"]) == 0


@pytest.fixture(scope="module")
def first_runs(tmp_path_factory, tiny_preset) -> Path:
    """A folder with the rows and two runs, `one` and `other`."""
    folder = tmp_path_factory.mktemp("joining")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for seed, labels in enumerate((["sport", "team"], ["money", "team"], ["coach"], ["coach", "sport"])):
            write(["one", "other", "left", "right"][seed], labels, seed)
        for name in ("one", "other"):
            make(tiny_preset, name)
    return folder


@pytest.fixture
def project(first_runs, tiny_preset, tmp_path, monkeypatch):
    """A copy of them, as the current folder; returns a function that trains a run: its name, config sections."""
    copy = tmp_path / "project"
    shutil.copytree(first_runs, copy)
    monkeypatch.chdir(copy)
    return functools.partial(make, tiny_preset)


def go_on(run: str, *arguments: str) -> int:
    return program.main([f"runs/{run}", *arguments])


def same(one: str, other: str, file: str = "analytic.npz") -> None:
    first, second = (RidgeSums.read(Path("runs") / run / "continual" / file) for run in (one, other))
    assert first.labels == second.labels and first.rows == second.rows
    np.testing.assert_allclose(first.gram, second.gram, atol=1e-8)
    np.testing.assert_allclose(first.products, second.products, atol=1e-8)


def test_what_another_run_learnt_is_added_and_the_run_goes_on(project, capsys):
    assert go_on("one", "--join", "runs/other", "name=joined") == 0
    assert go_on("one", "other.jsonl", *SHARES, "name=learnt") == 0
    same("joined", "learnt")
    assert Run.open(Path("runs/joined")).load_state()["labels"] == ["sport", "team", "money"]
    texts = ["goal match goal", "market stock a", "team score in"]
    answers = [kerasft.load(f"runs/{name}").answer(texts) for name in ("joined", "learnt")]
    assert [row["label"] for row in answers[0]] == ["sport", "money", "team"]
    assert [row["score"] for row in answers[0]] == pytest.approx([row["score"] for row in answers[1]], abs=1e-6)
    found = json.loads(Path("runs/joined/metrics.json").read_text())["continual"]
    assert [stage["stage"] for stage in found["stages"]] == ["one", "joined"] and len(found["matrix"][1]) == 2
    lineage = json.loads(Path("runs/joined/lineage.json").read_text())
    assert [parent["run"] for parent in lineage["parents"]] == ["../one", "../other"]

    capsys.readouterr()
    assert go_on("joined", "--join", "runs/other") == 2
    assert "runs/joined has runs/other already" in capsys.readouterr().err
    assert go_on("joined", "left.jsonl", *SHARES, "name=further") == 0
    assert len(json.loads(Path("runs/further/metrics.json").read_text())["continual"]["stages"]) == 3


@pytest.mark.long
def test_sums_of_prototypes_are_added_too(project):
    write("more", ["money", "team"], 9)
    for name in ("right", "more"):
        project(name, continual={"method": "prototypes"})
    assert go_on("right", "--join", "runs/more", "name=joined") == 0
    assert go_on("right", "more.jsonl", *SHARES, "name=learnt") == 0
    same("joined", "learnt", "prototypes.npz")


@pytest.mark.long
def test_what_both_come_from_is_counted_once(project, capsys):
    for name in ("left", "right"):
        assert go_on("one", f"{name}.jsonl", *SHARES, f"name={name}") == 0
    assert go_on("left", "--join", "runs/right", "name=joined") == 0
    assert go_on("left", "right.jsonl", *SHARES, "name=learnt") == 0
    same("joined", "learnt")
    assert go_on("right", "left.jsonl", *SHARES, "name=deep") == 0
    capsys.readouterr()
    assert go_on("other", "--join", "runs/deep") == 2
    assert "comes from runs/right, which runs/other has not; join runs/right first" in capsys.readouterr().err


def test_runs_whose_sums_can_not_be_added_are_refused(project, capsys):
    write("seventh", ["money", "team"], 1)
    project("seventh", seed=7)
    assert go_on("one", "--join", "runs/seventh") == 2
    assert "of different encoders or other random numbers" in capsys.readouterr().err
    project("right", continual=None, training={"steps": 2, "batch_size": 8})
    assert go_on("one", "--join", "runs/right") == 2
    assert "runs/one has analytic and runs/right none" in capsys.readouterr().err
    assert go_on("one", "--join", "runs/one") == 2
    assert "runs/one has runs/one already" in capsys.readouterr().err
    assert go_on("one", "other.jsonl", "--join", "runs/other") == 2
    assert "CONFIG_OR_DATA and --join to learn from" in capsys.readouterr().err
    write("fourth", ["money", "coach"], 98)
    project("fourth")
    write("fourth", ["money", "coach"], 99)
    assert go_on("one", "--join", "runs/fourth") == 2
    assert "bring the data" in capsys.readouterr().err and not Path("runs/one-2").exists()
