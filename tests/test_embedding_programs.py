"""Embedding as a user calls it: from pairs to vectors and neighbours, from a run, an export and an untouched preset."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from kerasft import evaluate, predict, train
from kerasft.inference.export import Export
from kerasft.inference.untrained import Untrained
from kerasft.serving.exporter import export

ROOT = Path(__file__).parents[1]
STSB = ROOT.parent / "shared" / "data" / "stsb"
SPORT, MONEY = "goal match team score coach".split(), "bank market stock price trade".split()


def write_pairs(path: Path, rows: int, seed: int, scored: bool) -> None:
    """A pair belongs together where both texts hold the same rare word; scored pairs may be of different topics."""
    random = np.random.default_rng(seed)
    written = []
    for _ in range(rows):
        first, second = (SPORT if random.random() < 0.5 else MONEY for _ in range(2))
        second = second if scored else first
        key = "" if scored else f"{random.integers(0, 10)} {random.integers(0, 10)} "
        row = {name: key + " ".join(random.choice(topic, 4)) for name, topic in (("a", first), ("b", second))}
        written.append(row | ({"s": 5.0 * (first is second)} if scored else {}))
    path.write_text("".join(json.dumps(row) + "\n" for row in written), encoding="utf-8")


@pytest.fixture
def project(tmp_path, tiny_preset, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(scored: bool, **training) -> None:
        write_pairs(tmp_path / "train.jsonl", 160, 0, scored)
        write_pairs(tmp_path / "test.jsonl", 37, 1, scored)
        config = {
            "name": "tiny",
            "task": {"name": "text_embedding"},
            "model": {"preset": str(tiny_preset), "max_length": 12, "dropout": 0.0},
            "data": {
                "train": "train.jsonl",
                "validation": 0.2,
                "test": "test.jsonl",
                "columns": {"text": "a", "text_pair": "b", **({"label": "s"} if scored else {})},
            },
            "training": {"epochs": 8, "batch_size": 16, "optimizer": {"learning_rate": 2e-2}, **training},
        }
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    return make


def answers(capsys, *arguments: str) -> list[dict]:
    capsys.readouterr()
    assert predict.main(list(arguments)) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def measured(capsys, *arguments: str) -> dict:
    capsys.readouterr()
    assert evaluate.main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_matching_pairs_from_training_to_a_searched_index(project, capsys):
    project(scored=False)
    assert train.main(["config.yaml"]) == 0
    said = capsys.readouterr().out
    figures = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    before = measured(capsys, "config.yaml")
    assert before["rows"] == figures["rows"] == 37
    assert figures["mrr"] > before["mrr"] + 0.1
    assert figures["interval"]["metric"] == "mrr"
    assert figures["interval"]["low"] <= figures["mrr"] <= figures["interval"]["high"]
    assert "MRR" in said and "Recall at 10" in said and "saved_models/tiny/1" in said

    rows = [json.loads(line) for line in Path("runs/tiny/predictions/test.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == [json.loads(line)["a"] for line in Path("test.jsonl").open()]
    assert all((row["found"] == row["truth"]) == (row["rank"] == 1) for row in rows)
    page = Path("runs/tiny/report.html").read_text()
    assert "nDCG at 10" in page and "Found last" in page

    trained = answers(capsys, "runs/tiny", "--input", "test.jsonl", "--batch-size", "5")
    served = answers(capsys, "saved_models/tiny", "--input", "test.jsonl")
    vectors = np.array([row["embedding"] for row in trained])
    assert vectors.shape == (37, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors, [row["embedding"] for row in served], atol=1e-5)

    search = ("--input", "test.jsonl", "--index", "test.jsonl", "--top", "3", "--batch-size", "8")
    found = answers(capsys, "saved_models/tiny", *search)
    assert [row["text"] for row in found] == [row["text"] for row in rows]
    assert [row["nearest"][0]["text"] for row in found] == [row["found"] for row in rows]
    corpus = np.array([row["embedding"] for row in answers(capsys, "runs/tiny", "--input", corpus_file())])
    np.testing.assert_allclose(
        [[near["score"] for near in row["nearest"]] for row in found],
        -np.sort(-(vectors @ corpus.T), axis=1)[:, :3],
        atol=1e-5,
    )
    lines = Path("test.jsonl").read_text().splitlines()
    for near in found[0]["nearest"]:
        file, line = near["where"].rsplit(":", 1)
        assert file.endswith("test.jsonl") and json.loads(lines[int(line) - 1])["b"] == near["text"]


def corpus_file() -> str:
    """The texts that an index of test.jsonl holds, each once, a line each."""
    texts = dict.fromkeys(json.loads(line)["b"] for line in Path("test.jsonl").open())
    Path("corpus.txt").write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return "corpus.txt"


def test_scored_pairs_and_the_untouched_preset(project, capsys):
    project(scored=True, epochs=6)
    before = measured(capsys, "config.yaml")
    assert train.main(["config.yaml"]) == 0
    figures = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    assert figures["spearman"] > max(before["spearman"], 0.7)  # 0.87 is the most that ties of the truth allow
    assert measured(capsys, "runs/tiny")["spearman"] == pytest.approx(figures["spearman"], abs=1e-6)
    row = json.loads(Path("runs/tiny/predictions/test.jsonl").read_text().splitlines()[0])
    assert set(row) == {"text", "text_pair", "truth", "cosine"}
    page = Path("runs/tiny/report.html").read_text()
    assert "Furthest off in rank" in page and "Predictions" in page
    untouched = answers(capsys, "config.yaml", "--input", "test.jsonl")
    after = answers(capsys, "runs/tiny", "--input", "test.jsonl")
    assert np.abs(np.array(untouched[0]["embedding"]) - after[0]["embedding"]).max() > 0.01


def test_mistakes_are_one_line(project, capsys):
    project(scored=False)
    config = yaml.safe_load(Path("config.yaml").read_text())
    config |= {"name": "labels", "task": {"name": "text_classification"}}
    config["data"]["columns"] = {"text": "a", "label": "b"}
    Path("classes.yaml").write_text(yaml.safe_dump(config))
    for arguments, expected in (
        (["classes.yaml"], "text_classification has to be trained first; give its run, such as runs/labels"),
        (["config.yaml", "task.pooling=max"], "task.pooling"),
        (["runs/none", "data.test=x"], "overrides are for configs"),
    ):
        assert evaluate.main(arguments) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1 and expected in error
    ask = ["config.yaml", "--input", "test.jsonl"]
    for options, expected in ((["--top", "0"], "--top"), (["--index", "nowhere.txt"], "nowhere.txt")):
        assert predict.main([*ask, *options]) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1 and expected in error


@pytest.mark.real
@pytest.mark.skipif(not STSB.is_dir(), reason="the STS benchmark is not at ../shared/data/stsb")
def test_untouched_minilm_has_the_published_spearman_on_stsb(capsys, monkeypatch):
    """sentence-transformers states 82.03 for all-MiniLM-L6-v2: pooling, masking and tokenization are right."""
    monkeypatch.chdir(ROOT)
    splits = [f"data.{split}={STSB}/{split}.jsonl" for split in ("train", "validation", "test")]
    figures = measured(capsys, "configs/stsb-embedding.yaml", *splits)
    assert figures["rows"] == 1379
    assert figures["spearman"] == pytest.approx(0.8203, abs=0.001)


@pytest.mark.real
@pytest.mark.skipif(not STSB.is_dir(), reason="the STS benchmark is not at ../shared/data/stsb")
def test_an_export_of_minilm_agrees_on_200_real_texts(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    untrained = Untrained.open(Path("configs/stsb-embedding.yaml"))
    trained = untrained.load()
    metadata = {"config": untrained.config.model_dump(), "state": {}}
    version = export(trained.task, trained.preprocessor, trained.model, tmp_path / "minilm", metadata)
    texts = [json.loads(line)["text_a"] for line in (STSB / "test.jsonl").open(encoding="utf-8")][:200]
    here, served = (each.answer({"text": texts})["embedding"] for each in (trained, Export.open(version).load()))
    assert here.shape == (200, 384)
    np.testing.assert_allclose(served, here, atol=1e-5)
