"""A sequence, and runs that go on, as a user has them: by the programs, from files to answers."""

import contextlib
import importlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.shared import shared_folder

import kerasft
from kerasft import train
from kerasft.config.load import load_config
from kerasft.continual.sequence import run_sequence
from kerasft.errors import UserError
from kerasft.runs import Run

WORDS = {
    "sport": "goal match",
    "team": "team score",
    "coach": "coach bank",
    "money": "market stock",
    "price": "price trade",
}
DATA = {
    "train": "train.jsonl",
    "validation": "validation.jsonl",
    "test": "test.jsonl",
    "columns": {"text": "text", "label": "label"},
}
program = importlib.import_module("kerasft.continue")  # whose name is a word of the language


def write(file: str, labels, rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    names = [list(labels)[row % len(labels)] for row in range(rows)]
    lines = [{"text": " ".join(random.choice([*WORDS[name].split(), "a", "in"], 6)), "label": name} for name in names]
    Path(file).write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_config(preset: Path, name: str, data: dict, **sections) -> str:
    config = {
        "name": name, "task": {"name": "text_classification", "pooling": "mean"},
        "model": {"preset": str(preset), "max_length": 12}, "data": data,
        "training": {"steps": 6, "batch_size": 8, "optimizer": {"learning_rate": 1e-2}},
        "export": {"enabled": False}, **sections,
    }  # fmt: skip
    Path(f"{name}.yaml").write_text(yaml.safe_dump(config))
    return f"{name}.yaml"


def continual_of(run: str) -> dict:
    return json.loads((Path("runs") / run / "metrics.json").read_text())["continual"]


@pytest.fixture(scope="session")
def sequences(tmp_path_factory, tiny_preset) -> Path:
    """A folder with an analytic sequence of three stages with baselines, the same at once, and a plain run."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
            patch.chdir(folder)
            for seed, split in enumerate(("train", "validation", "test")):
                write(f"{split}.jsonl", list(WORDS), 75, seed)
            analytic = {"method": "analytic", "features": 48, "classes": 2}
            one = write_config(tiny_preset, "stages", DATA, continual={**analytic, "baselines": True}, export={})
            assert train.main([one]) == 0
            two = write_config(tiny_preset, "two", DATA, continual={**analytic, "classes": 3, "order": 0})
            assert train.main([two]) == 0
            write("first.jsonl", ["sport", "team"], 50, 3)
            first = {**DATA, "train": "first.jsonl", "validation": 0.2, "test": 0.2}
            assert train.main([write_config(tiny_preset, "plain", first)]) == 0

    return shared_folder(tmp_path_factory, "continual", make)


@pytest.fixture
def here(sequences, tmp_path, monkeypatch) -> Path:
    copy = tmp_path / "project"
    shutil.copytree(sequences, copy)
    monkeypatch.chdir(copy)
    return copy


def test_a_sequence_of_one_config_ends_as_a_run_that_is_exported(here):
    found = continual_of("stages")
    assert {"final", "average_incremental", "forgetting", "matrix", "joint", "sequential"} <= found.keys()
    assert {"final", "average_incremental", "forgetting", "matrix"} <= found["joint"].keys() & found[
        "sequential"
    ].keys()
    assert [len(row) for row in found["matrix"]] == [1, 2, 3]
    assert found["final"] > 0.8 and found["sequential"]["matrix"][-1][0] < 0.5  # nothing keeps the first stage there
    metrics = json.loads(Path("runs/stages/metrics.json").read_text())
    assert found["final"] == pytest.approx(metrics["test"]["accuracy"]) and metrics["training"]["steps"] == 0
    page = Path("runs/stages/report.html").read_text()
    assert "Lineage" in page and "nothing kept (sequential)" in page
    texts = ["goal match goal a", "price trade in"]
    answers = kerasft.load("saved_models/stages").answer(texts)
    assert [row["label"] for row in answers] == ["sport", "price"]
    again = kerasft.load("runs/stages").answer(texts)
    assert [row["score"] for row in again] == pytest.approx([row["score"] for row in answers], abs=1e-5)


def test_stages_of_other_sizes_give_the_same_head(here):
    three, two = Run.open(Path("runs/stages")).load(), Run.open(Path("runs/two")).load()
    assert three.task.state["labels"] == two.task.state["labels"]
    answers = [
        trained.answer({"text": ["goal match", "coach bank a", "trade"]})["probabilities"] for trained in (three, two)
    ]
    np.testing.assert_allclose(*answers, atol=1e-6)


def test_a_stage_reads_no_row_of_a_later_one(here):
    stages = [json.loads(Path(f"runs/{run}/continual/rows.json").read_text())["rows"]
              for run in ("stages-stages/stage-1", "stages-stages/stage-2", "stages")]  # fmt: skip
    assert sum(map(len, stages)) == 75
    for one in range(3):
        for other in range(one):
            assert not set(stages[one]) & set(stages[other])


def test_a_killed_sequence_goes_on_with_the_same_bits(here):
    before = json.loads(Path("runs/stages/metrics.json").read_text())["training"]["sha256"]
    shutil.rmtree("runs/stages")
    Path("runs/stages-stages/sequential-3/finished.json").unlink()  # killed behind its last write
    config = load_config("stages.yaml", ["export.enabled=false"])
    outcome = run_sequence(config, "resume")
    assert outcome.metrics["training"]["sha256"] == before
    assert outcome.metrics["continual"]["sequential"]["matrix"][-1][0] < 0.5


def test_a_run_goes_on_forgets_exactly_and_says_what_it_comes_from(here, capsys):
    write("more.jsonl", ["coach", "sport"], 40, 8)
    method = ["continual.method=analytic", "continual.features=48"]
    assert program.main(["runs/plain", "more.jsonl", *method]) == 0
    lineage = json.loads(Path("runs/plain-2/lineage.json").read_text())
    assert lineage["parents"][0]["run"] == "../plain" and lineage["new_labels"] == ["coach"]
    assert lineage["method"]["method"] == "analytic"
    found = continual_of("plain-2")
    assert [stage["stage"] for stage in found["stages"]] == ["plain", "plain-2"] and len(found["matrix"][1]) == 2
    assert Run.open(Path("runs/plain-2")).load_state()["labels"] == ["sport", "team", "coach"]

    write("bad.jsonl", ["sport"], 4, 77)
    assert program.main(["runs/plain-2", "--forget", "bad.jsonl"]) == 2
    assert "4 of 4 rows were not learnt" in capsys.readouterr().err and not Path("runs/plain-3").exists()
    write("extra.jsonl", ["money"], 30, 9)
    assert program.main(["runs/plain-2", "extra.jsonl", "data.test=null"]) == 2
    assert "rows can't be compared with them: set data.test" in capsys.readouterr().err
    assert program.main(["runs/plain-2", "extra.jsonl", "continual.method=analytic"]) == 0
    assert Run.open(Path("runs/plain-3")).config.continual.features == 48, "keys of the parent's own method stay"
    capsys.readouterr()
    assert program.main(["runs/plain-2", "more.jsonl", "--resume", "name=plain-3"]) == 2


def test_replay_keeps_rows_and_a_gate_keeps_an_export_back(here, capsys):
    write("more.jsonl", ["coach"], 40, 8)
    arguments = ["runs/plain", "more.jsonl", "continual.method=none", "training.steps=60", "export.enabled=true"]
    assert program.main([*arguments, "--gate", "0.01"]) == 1
    assert "not exported: lost on the tests of plain" in capsys.readouterr().err
    assert Path("runs/plain-2/finished.json").exists() and not Path("saved_models/plain").exists()
    assert program.main(["runs/plain", "more.jsonl", "continual.buffer=balanced", "name=kept"]) == 0
    rows = [json.loads(line)["row"] for line in Path("runs/kept/continual/buffer.jsonl").read_text().splitlines()]
    assert sorted(row["label"] for row in rows) == ["coach"] * 5 + ["sport"] * 5 + ["team"] * 5
    Path("gone.jsonl").write_text(json.dumps({name: rows[0][name] for name in ("text", "label")}) + "\n")
    capsys.readouterr()
    assert program.main(["runs/kept", "--forget", "gone.jsonl"]) == 0
    assert "taken out of its buffer" in capsys.readouterr().out
    assert len(Path("runs/kept/continual/buffer.jsonl").read_text().splitlines()) == 14


def test_a_watched_folder_loses_no_file_and_learns_none_twice(here):
    Path("inbox").mkdir()
    write("inbox/1.jsonl", ["coach"], 30, 5)
    shutil.copy("inbox/1.jsonl", "inbox/2.jsonl")
    Path("inbox/3.jsonl").write_text('{"words": "a"}\n')
    options = ["runs/plain", "--watch", "inbox", "--once", "training.steps=2"]
    assert program.main(options) == 1  # the third can't be read
    ledger = json.loads(Path("inbox/.kerasft.json").read_text())
    assert [entry["file"] for entry in ledger["done"]] == ["1.jsonl", "3.jsonl"] and "error" in ledger["done"][1]
    assert ledger["run"] == "runs/plain-2" and Path("runs/plain-2/finished.json").exists()

    current = {"file": "1.jsonl", "sha256": ledger["done"][0]["sha256"], "name": "plain-2"}  # killed before the ledger
    Path("inbox/.kerasft.json").write_text(
        json.dumps({"begun": "runs/plain", "run": "runs/plain", "done": [], "current": current})
    )
    assert program.main(options) == 1
    assert json.loads(Path("inbox/.kerasft.json").read_text())["done"][0]["run"] == "runs/plain-2"
    assert not Path("runs/plain-3").exists()
    shutil.copytree("runs/plain", "runs/another")
    assert program.main(["runs/another", *options[1:]]) == 2  # the folder goes on from runs/plain
    assert program.main(["runs/plain-2", *options[1:]]) == 1  # which comes from it


@pytest.mark.long
def test_a_task_of_its_own_leaves_the_tasks_before_as_they_are(tmp_path, tiny_preset, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write("first.jsonl", ["sport", "team"], 50, 3)
    lora = {"model": {"preset": str(tiny_preset), "max_length": 12, "peft": {"method": "lora", "rank": 2}}}
    write("other.jsonl", ["coach", "money"], 40, 6)
    short = {"training": {"steps": 2, "batch_size": 8}, **lora}
    first = {**DATA, "train": "first.jsonl", "validation": 0.2, "test": 0.2}
    assert train.main([write_config(tiny_preset, "intents", first, **short)]) == 0
    before = {file: file.read_bytes() for file in Path("runs/intents").rglob("*") if file.is_file()}
    words = [json.loads(line)["text"].split() for line in Path("other.jsonl").read_text().splitlines()]
    rows = [{"tokens": text, "tags": ["B-x" if word == "bank" else "O" for word in text]} for text in words]
    Path("tags.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"train": "tags.jsonl", "validation": 0.2, "columns": {"tokens": "tokens", "tags": "tags"}}
    tags = write_config(tiny_preset, "tags", data, **short, task={"name": "token_classification", "stride": 6})
    assert program.main(["runs/intents", tags]) == 2  # another task, and the method is not for it
    assert program.main(["runs/intents", tags, "continual.method=adapters"]) == 0
    found = continual_of("tags")
    intents = json.loads(Path("runs/intents/metrics.json").read_text())["test"]["accuracy"]
    assert found["matrix"][0] == [intents] and found["matrix"][1][0] == intents and len(found["matrix"][1]) == 2
    assert found["forgetting"] == 0.0 and found["stages"][0] == {"stage": "intents", "test_rows": 10}
    assert {file: file.read_bytes() for file in before} == before
    assert program.main(["runs/intents", tags, "continual.method=adapters", "name=no", "model.preset=other"]) == 2
    assert "tasks share one base; name the same preset" in capsys.readouterr().err

    write("more.jsonl", ["coach"], 30, 7)
    method = ["continual.method=o_lora", "data.test=null"]
    assert program.main(["runs/intents", "more.jsonl", *method, "name=second"]) == 0
    assert program.main(["runs/second", "more.jsonl", "name=third"]) == 0
    sizes = []
    for run in ("second", "third"):
        with np.load(f"runs/{run}/continual/o_lora.npz") as saved:
            sizes.append({saved[name].shape[1] for name in saved.files})
    assert sizes == [{2}, {4}]  # the directions of both stages, of rank 2 each


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["runs/plain"], "nothing to learn from; give one of CONFIG_OR_DATA"),
        (["runs/plain", "first.jsonl", "--watch", "."], "CONFIG_OR_DATA and --watch to learn from"),
        (["runs/plain", "first.jsonl", "--gate", "-1"], "--gate: -1.0 is negative"),
        (["runs/plain", "--watch", ".", "--overwrite"], "--overwrite: --watch makes a new run of each file"),
        (["runs/plain", "--forget", "first.jsonl", "--gate", "0.1"], "--gate: --forget makes a new run only after"),
        (["runs/plain", "first.jsonl", "--once"], "--once: is for --watch DIR"),
        (["saved_models/stages", "first.jsonl"], "an export alone can't go on"),
        (["runs/stages-stages/stage-1", "first.jsonl"], "is a stage within a sequence"),
        (["runs/plain", "first.jsonl", "model.preset=other"], "a run goes on with its own weights and tokenizer"),
        (["runs/plain", "first.jsonl", "task.labels=[sport, coach]"], "lacks team, which runs/plain knows"),
        (["runs/plain", "renamed.jsonl"], "the label 'Sport' is new, and runs/plain knows 'sport'"),
        (["runs/plain", "first.jsonl", "continual.classes=2"], "are for a whole sequence"),
        (["runs/plain", "first.jsonl", "training.early_stopping={metric: accuracy}"], "keeps the weights of its last"),
        (
            ["runs/plain", "first.jsonl", "continual.method=analytic", "training.class_weights=balanced"],
            "training.class_weights: balanced does not go with method analytic",
        ),
    ],
)  # fmt: skip
def test_what_can_not_go_on_is_said_in_one_line(here, capsys, arguments, message):
    rows = [{"text": "goal", "label": "Sport"}] * 10 + [{"text": "team", "label": "team"}] * 10
    Path("renamed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = sorted(path.name for path in Path("runs").iterdir())
    assert program.main(arguments) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(said) == 1 and message in said[0], said
    assert sorted(path.name for path in Path("runs").iterdir()) == before


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["continual.classes=null"], "compares sequences of stages"),
        (["continual.classes=5"], "that is one stage; use fewer"),
        (["continual.stages=9", "continual.classes=null"], "data.train has 5 classes; use at most as many"),
        (["continual.stages=2"], "2 stages of 2 classes, and data.train has 5"),
        (["continual.stages=[]", "continual.classes=null"], "names no source"),
        (["task.problem=multi_label", "task.label_separator=;"], "is for text_classification with one label"),
    ],
)
def test_a_sequence_that_can_not_be_planned_is_refused(here, overrides, message):
    with pytest.raises(UserError, match=message):
        run_sequence(load_config("stages.yaml", ["name=other", *overrides]))
    assert not list(Path("runs").glob("other*"))


def test_the_sources_of_stages_bring_their_own_classes(here, tiny_preset):
    from kerasft.console.terminal import Silent
    from kerasft.continual.stages import plan_stages

    write("b.jsonl", ["team", "coach"], 20, 5)
    data = {**DATA, "train": "first.jsonl", "validation": 0.2, "test": 0.2}
    continual = {"method": "none", "stages": ["b.jsonl", ["first.jsonl"]]}
    plan = plan_stages(load_config(write_config(tiny_preset, "sources", data, continual=continual)), Silent())
    assert plan.labels == [["sport", "team"], ["sport", "team", "coach"], ["sport", "team", "coach"]]
    assert [len(plan.rows("test", range(i, i + 1))) for i in range(3)] == [10, 4, 10]
    assert set(plan.rows("train", range(1, 2)).column("label")) == {"team", "coach"}
