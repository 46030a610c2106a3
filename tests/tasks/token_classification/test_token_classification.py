"""From tagged text to entities with offsets: the programs, windows, units, and what the data may get wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.rarely import rarely

from kerasft import evaluate, predict, train

# The first word of an entity, and the words that may follow it.
PEOPLE, PLACES, OTHER = ("coach", ["score", "team"]), ("bank", ["market", "price"]), "the a of in and".split()


def write_rows(path: Path, rows: int, seed: int, length: int = 12) -> list[dict]:
    """Sentences of entities of one to three words and of words that are none."""
    random = np.random.default_rng(seed)
    written = []
    for _ in range(rows):
        tokens, tags = [], []
        while len(tokens) < random.integers(3, length):
            label = str(random.choice(["O", "person", "place"]))
            if label == "O":
                tokens.append(str(random.choice(OTHER)))
                tags.append("O")
                continue
            first, others = PEOPLE if label == "person" else PLACES
            more = random.choice(others, random.integers(0, 3)).tolist()
            tokens += [first, *more]
            tags += [f"B-{label}", *[f"I-{label}"] * len(more)]
        written.append({"tokens": tokens, "tags": tags})
    path.write_text("".join(json.dumps(row) + "\n" for row in written), encoding="utf-8")
    return written


@pytest.fixture
def project(tmp_path, tiny_preset, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(task=None, length: int = 12, **sections) -> Path:
        write_rows(tmp_path / "train.jsonl", 96, 0, length)
        write_rows(tmp_path / "test.jsonl", 33, 1, length)
        config = {
            "name": "tiny",
            "task": {"name": "token_classification", "stride": 4, **(task or {})},
            "model": {"preset": str(tiny_preset), "max_length": 12},
            "data": {
                "train": "train.jsonl",
                "validation": 0.25,
                "test": "test.jsonl",
                "columns": {"tokens": "tokens", "tags": "tags"},
            },
            "training": {"epochs": 4, "batch_size": 8, "optimizer": {"learning_rate": 3e-2, "weight_decay": 0.0}},
        }
        for section, keys in sections.items():
            config[section] = {**config.get(section, {}), **keys}
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path

    return make


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("task", [{"crf": True}, *rarely({"units": "pieces"}, {})])
def test_from_tagged_text_to_served_entities(project, capsys, task):
    project(task, length=30)  # longer than a window of 12
    assert train.main(["config.yaml"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    assert metrics["f1"] > 0.9 and metrics["token"]["micro_f1"] > 0.9
    assert metrics["interval"]["low"] <= metrics["f1"] <= metrics["interval"]["high"]
    assert set(metrics["per_class"]) == {"person", "place"} and metrics["unreachable"] == 0
    assert list(metrics["token"]["per_class"]) == ["O", "B-person", "I-person", "B-place", "I-place"]
    assert "person" in said and "saved_models/tiny/1" in said
    page = Path("runs/tiny/report.html").read_text()
    assert "Tags of tokens" in page and "Precision" in page

    rows = lines(Path("runs/tiny/predictions/test.jsonl"))
    data = lines(Path("test.jsonl"))
    assert [row["text"] for row in rows] == [" ".join(row["tokens"]) for row in data]
    key = lambda entity: (entity["start"], entity["end"], entity["type"])  # noqa: E731
    right = sum(key(entity) in map(key, row["truth"]) for row in rows for entity in row["entities"])
    both = sum(len(row["truth"]) + len(row["entities"]) for row in rows)
    assert 2 * right / both == pytest.approx(metrics["f1"])

    Path("in.jsonl").write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows), encoding="utf-8")
    for model in ("runs/tiny", "saved_models/tiny"):
        assert predict.main([model, "--input", "in.jsonl", "--batch-size", "5"]) == 0
        answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(answers) == len(rows)
        for row, answer in zip(rows, answers):
            assert [(e["text"], *key(e)) for e in answer["entities"]] == [(e["text"], *key(e)) for e in row["entities"]]
            scores = [[e["score"] for e in found["entities"]] for found in (row, answer)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-4)
            assert all(e["text"] == row["text"][e["start"] : e["end"]] for e in answer["entities"])

    assert evaluate.main(["runs/tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["f1"] == metrics["f1"]
