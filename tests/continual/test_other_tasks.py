"""Stages of tasks that are no classification, a pool of prompts; and every method goes on as if it was never killed."""

import importlib
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.small_presets import small_presets  # noqa: F401

from kerasft import train
from kerasft.continual.methods.registry import METHODS
from kerasft.peft.prompt_pool import pool_of
from kerasft.runs import Run
from kerasft.training.actions import signals

program = importlib.import_module("kerasft.continue")  # whose name is a word of the language
TYPES = {"team": "B-place", "bank": "B-firm"}
WORDS = ["a", "in", "goal", "team", "bank", "match"]


def write_rows(file: str, row_of, rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    lines = [json.dumps(row_of([str(word) for word in random.choice(WORDS, 6)])) for _ in range(rows)]
    Path(file).write_text("".join(f"{line}\n" for line in lines))


def tagged(*types: str):
    tags = {word: tag for word, tag in TYPES.items() if tag[2:] in types}
    return lambda words: {"tokens": words, "tags": [tags.get(word, "O") for word in words]}


def begin(name: str, preset: Path, task: dict, columns: dict, **sections) -> list[str]:
    config = {
        "name": name, "task": task, "model": {"preset": str(preset), "max_length": 14},
        "data": {"train": f"{name}.jsonl", "validation": 0.2, "test": 0.2, "columns": columns},
        "training": {"steps": 6, "batch_size": 8, "optimizer": {"learning_rate": 1e-2}},
        "export": {"enabled": False}, **sections,
    }  # fmt: skip
    Path(f"{name}.yaml").write_text(yaml.safe_dump(config))
    return [f"{name}.yaml"]


def continual_of(run: str) -> dict:
    return json.loads((Path("runs") / run / "metrics.json").read_text())["continual"]


def kept(run: str) -> list[dict]:
    lines = (Path("runs") / run / "continual/buffer.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.long
def test_a_tagger_gets_a_type_whose_rows_say_nothing_of_the_old_one(tmp_path, small_presets, monkeypatch, capsys):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    write_rows("places.jsonl", tagged("place"), 50, 0)
    write_rows("firms.jsonl", tagged("firm"), 50, 1)
    task = {"name": "token_classification", "stride": 4}
    columns = {"tokens": "tokens", "tags": "tags"}
    steps = {"steps": 40, "batch_size": 8, "optimizer": {"learning_rate": 1e-2}}
    sections = {"continual": {"method": "replay"}, "training": steps}
    assert train.main(begin("places", small_presets / "encoder", task, columns, **sections)) == 0
    assert len(kept("places")) == 5 and all(line["types"] == ["place"] for line in kept("places"))
    assert program.main(["runs/places", "firms.jsonl"]) == 0
    assert Run.open(Path("runs/places-2")).load_state()["labels"] == ["place", "firm"]
    assert sorted(line["types"][0] for line in kept("places-2")) == ["firm"] * 5 + ["place"] * 5
    matrix = continual_of("places-2")["matrix"]
    assert [len(row) for row in matrix] == [1, 2]
    capsys.readouterr()
    assert program.main(["runs/places", "firms.jsonl", "continual.method=ewc"]) == 2
    assert "choose one of none, joint, adapters, replay, lwf" in capsys.readouterr().err


def test_a_model_that_writes_keeps_rows_and_a_gate_is_a_share_of_its_perplexity(
    tmp_path, small_presets, monkeypatch, capsys  # noqa: F811
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write_rows("first.jsonl", lambda words: {"text": " ".join(words)}, 40, 0)
    write_rows("second.jsonl", lambda words: {"text": " ".join(word[::-1] for word in words)}, 40, 1)
    task = {"name": "text_generation", "decoding": {"max_new_tokens": 2}, "samples": 1}
    sections = {"continual": {"method": "replay", "rows": 10}}
    assert train.main(begin("first", small_presets / "decoder", task, {"text": "text"}, **sections)) == 0
    assert len(kept("first")) == 10 and set(kept("first")[0]) == {"row"}
    exit_code = program.main(["runs/first", "second.jsonl", "--gate", "0.0001"])
    (before,), (after, _) = continual_of("first-2")["matrix"]
    assert exit_code == (after > 1.0001 * before) and len(kept("first-2")) == 10
    capsys.readouterr()
    assert program.main(["runs/first", "second.jsonl", "continual.buffer=balanced"]) == 2
    assert "rows of text_generation have no classes; set reservoir" in capsys.readouterr().err


@pytest.fixture
def parent(tmp_path, small_presets, monkeypatch) -> Path:  # noqa: F811
    """A run of two classes, and rows of a third, in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_rows("first.jsonl", lambda words: {"text": " ".join(words), "label": str(words[0] < "c")}, 40, 0)
    write_rows("more.jsonl", lambda words: {"text": " ".join(words), "label": "new"}, 30, 1)
    columns = {"text": "text", "label": "label"}
    task = {"name": "text_classification", "pooling": "mean"}
    sections = {"continual": {"method": "none"}}
    assert train.main(begin("first", small_presets / "encoder", task, columns, **sections)) == 0
    return Path("runs/first")


OPTIONS = {
    "analytic": ["continual.features=16"],
    "prompt_pool": ["continual.pool=3", "continual.tokens=1", "continual.chosen=2"],
}
SMALL_LORA = ["model.peft={method: lora, rank: 2}"]


def test_a_pool_of_prompts_goes_on_from_stage_to_stage(tmp_path, small_presets, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    write_rows("first.jsonl", lambda words: {"text": " ".join(words), "label": str(words[0] < "c")}, 40, 0)
    write_rows("more.jsonl", lambda words: {"text": " ".join(words), "label": "new"}, 30, 1)
    task = {"name": "text_classification", "pooling": "mean"}
    pool = {"method": "prompt_pool", "pool": 3, "tokens": 1, "chosen": 2}
    preset, columns = small_presets / "encoder", {"text": "text", "label": "label"}
    assert train.main(begin("first", preset, task, columns, continual=pool)) == 0
    assert program.main(["runs/first", "more.jsonl"]) == 0
    model = Run.open(Path("runs/first-2")).config.model
    assert model.preset == str(preset) and model.peft is not None and model.peft.start == "runs/first/adapter"
    trained = Run.open(Path("runs/first-2")).load()
    assert trained.task.state["labels"] == ["False", "True", "new"]
    assert trained.answer({"text": ["goal match"]})["probabilities"].shape == (1, 3)
    own = {id(weight) for weight in trained.model.weights}  # an export has no others
    assert {id(weight) for weight in pool_of(trained.model).reader.weights} <= own


@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
def test_a_stage_that_was_killed_goes_on_with_the_same_bits(parent, method, monkeypatch):
    if method in ("o_lora", "adapters"):
        parent = Path("runs/lora")
        assert train.main(["first.yaml", "name=lora", *SMALL_LORA]) == 0
    command = [str(parent), "more.jsonl", f"continual.method={method}", *OPTIONS.get(method, [])]
    if method == "adapters":
        shutil.copy("first.yaml", "again.yaml")
        command[1:] = ["again.yaml", "continual.method=adapters", *SMALL_LORA]
    assert program.main([*command, "name=whole"]) == 0
    after_steps = signals.StopOnSignal.after_steps

    def watched(self, output):
        if self.training.checkpoints.step == 3:
            self.signal = signal.SIGTERM
        after_steps(self, output)

    with monkeypatch.context() as patch:
        patch.setattr(signals.StopOnSignal, "after_steps", watched)
        stopped = program.main([*command, "name=killed", "training.steps_per_loop=1"])
    assert stopped == (0 if method in ("analytic", "prototypes") else 143)  # these have no steps
    if stopped:
        assert program.main([*command, "name=killed", "training.steps_per_loop=1", "--resume"]) == 0
    digests = [
        json.loads(Path(f"runs/{run}/metrics.json").read_text())["training"]["sha256"] for run in ("whole", "killed")
    ]
    assert digests[0] == digests[1]
    memories = [
        {file.name: file.read_bytes() for file in Path(f"runs/{run}/continual").iterdir() if file.suffix != ".npz"}
        for run in ("whole", "killed")
    ]
    assert memories[0] == memories[1]
