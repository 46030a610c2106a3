"""Relations from marked texts to a served model, by either form of input, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from kerasft import predict, train
from kerasft.config.schema import Config
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.sources.sources import Record
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.tasks.relation_extraction.task import RelationExtraction

SPORT, MONEY = ("goal", "match", "team"), ("bank", "market", "stock")
LABELS = ["Beats(e1,e2)", "Beats(e2,e1)", "Other"]


def example(random) -> dict:
    """Sport beats money: the relation is in the entities and its direction in their order."""
    kind = random.integers(0, 3)
    pools = [(SPORT, MONEY), (MONEY, SPORT), (SPORT, SPORT)][kind]
    one, other = (str(random.choice(pool)) for pool in pools)
    text = f"the {one} and the {other}" + " of the price" * random.integers(0, 6)
    first = [4, 4 + len(one)]
    second = [first[1] + 9, first[1] + 9 + len(other)]
    return {"text": text, "one": first, "two": second, "label": LABELS[kind]}


def marked(row: dict) -> str:
    text, (a, b), (c, d) = row["text"], row["one"], row["two"]
    return f"{text[:a]}<e1>{text[a:b]}</e1>{text[b:c]}<e2>{text[c:d]}</e2>{text[d:]}"


def settings(preset="nowhere", spans=True, **task) -> dict:
    columns = {"text": "text", "label": "label"} | ({"e1": "one", "e2": "two"} if spans else {})
    # So small a model learns these directions from some beginnings and not from others (one seed of four).
    return {
        "name": "tiny",
        "seed": 1,
        "task": {"name": "relation_extraction", "no_relation": "Other", **task},
        "model": {"preset": str(preset), "max_length": 14, "dropout": 0.0},
        "data": {"train": "train.jsonl", "validation": 0.25, "test": "test.jsonl", "columns": columns},
        "training": {
            "epochs": 10,
            "batch_size": 8,
            "optimizer": {"learning_rate": 2e-2, "weight_decay": 0.0},
        },
    }


def write(path: str, rows: list[dict]) -> None:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    write("train.jsonl", [example(random) for _ in range(128)])
    write("test.jsonl", [example(random) for _ in range(40)])
    return tmp_path


def answers(capsys, *args: str) -> list[dict]:
    capsys.readouterr()
    assert predict.main(list(args)) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_from_spans_to_a_served_model_and_on_from_there(folder, tiny_preset, capsys):
    Path("config.yaml").write_text(yaml.safe_dump(settings(tiny_preset)), encoding="utf-8")
    assert train.main(["config.yaml"]) == 0
    said = capsys.readouterr().out
    assert "Beats" in said and "mean of the relations" in said and "<e1>mill</e1>" in said
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    assert metrics["f1"] > 0.9 and metrics["accuracy"] > 0.9
    assert metrics["per_relation"].keys() == {"Beats"} and metrics["per_class"].keys() == set(LABELS)
    assert metrics["interval"]["metric"] == "f1"
    assert "Relations" in Path("runs/tiny/report.html").read_text()
    rows = [json.loads(line) for line in Path("test.jsonl").read_text().splitlines()]
    written = [json.loads(line) for line in Path("runs/tiny/predictions/test.jsonl").read_text().splitlines()]
    assert [row["text"] for row in written] == [marked(row) for row in rows]
    assert np.mean([row["relation"] == row["truth"] for row in written]) == pytest.approx(metrics["accuracy"])

    # the same texts as spans, as markers, from the run and from the export
    write("marked.jsonl", [{"text": marked(row)} for row in rows])
    found = [
        answers(capsys, model, "--input", file)
        for model in ("runs/tiny", "saved_models/tiny")
        for file in ("test.jsonl", "marked.jsonl")
    ]
    assert [row["relation"] for row in found[0]] == [row["relation"] for row in written]
    for other in found[1:]:
        for mine, theirs in zip(found[0], other, strict=True):
            assert mine["relation"] == theirs["relation"] and mine["score"] == pytest.approx(theirs["score"], abs=1e-5)

    import tensorflow as tf

    loaded = tf.saved_model.load("saved_models/tiny/1").signatures["serving_default"]
    broken = loaded(text=tf.constant(["no markers", marked(rows[0])]))
    assert broken["relation"].numpy().tolist() == [b"", found[0][0]["relation"].encode()]
    assert broken["score"].numpy()[0] == 0 and not broken["probabilities"].numpy()[0].any()

    # another run goes on from this one's model, with its tokens
    again = settings("run:runs/tiny", spans=True)
    again["training"] |= {"epochs": 1, "optimizer": {"learning_rate": 1e-6}}
    Path("again.yaml").write_text(yaml.safe_dump(again | {"name": "again"}), encoding="utf-8")
    assert train.main(["again.yaml", "export.enabled=false"]) == 0
    files = [Path(f"runs/{name}/model/kerasft_task.json") for name in ("tiny", "again")]
    states = [json.loads(file.read_text())["state"] for file in files]
    assert states[0]["marker_ids"] == states[1]["marker_ids"] and len(set(states[0]["marker_ids"])) == 4


def load(**changes):
    config = Config.model_validate(settings(**changes))
    task = RelationExtraction(config)
    task.check_config()
    return task, load_splits(config, task)


def test_a_bad_row_is_named_and_the_others_like_it_are_counted(folder):
    rows = [{"text": marked(example(np.random.default_rng(i))), "label": "Other"} for i in range(9)]
    for i in (2, 4, 7):
        rows[i]["text"] = rows[i]["text"].replace("</e2>", "")
    rows[5]["text"] += "<e1>"
    write("train.jsonl", rows)
    with pytest.raises(UserError) as caught:
        load(spans=False)
    message = str(caught.value)
    assert message.startswith("train.jsonl:3: the marker </e2> is missing")
    assert message.endswith("(and 2 more rows with a missing marker)")


def test_bad_settings_are_named(folder):
    with pytest.raises(UserError, match="task.no_relation: no row has the label 'None'"):
        load(no_relation="None")
    config = settings() | {"model": {"preset": "x", "max_length": 7}}
    with pytest.raises(UserError, match="model.max_length: 7 has no room .*use 8 or more"):
        RelationExtraction(Config.model_validate(config)).check_config()
    config = settings()
    del config["data"]["columns"]["e2"]
    with pytest.raises(UserError, match="data.columns.e2: missing"):
        RelationExtraction(Config.model_validate(config)).check_config()


def test_tags_can_be_named_otherwise(folder):
    config = Config.model_validate(settings(tags=["subj", "obj"]))
    task = RelationExtraction(config)
    record = Record({"text": "the goal and the bank", "one": [4, 8], "two": [17, 21], "label": "x"}, "x:1")
    assert task.parse(record)["text"] == "the <subj>goal</subj> and the <obj>bank</obj>"
    assert task.sample()["text"].count("obj>") == 2


def test_relations_are_labels_without_their_direction():
    state = {"labels": ["A(e1,e2)", "A(e2,e1)", "B(e2,e1)", "Other", "plain"]}
    task = RelationExtraction(Config.model_validate(settings()), state)
    ids, names = task._relations()
    assert names == ["A", "B", "plain"] and ids.tolist() == [0, 0, 1, -1, 2]
    logits = np.eye(5, dtype=np.float32)[[0, 0, 2, 0, 4]]
    split = Prepared({}, np.arange(6), np.ones(5), np.array([0, 1, 2, 3, 4]), np.ones(5), {}, 8)
    metrics = task.metrics(split, logits)
    # A: 1 right, predicted 3, true 2 -> 2/5; B and plain 1
    assert metrics["f1"] == pytest.approx((2 / 5 + 1 + 1) / 3) and metrics["accuracy"] == pytest.approx(3 / 5)
    interval = task.interval(split, logits)
    assert interval["low"] <= metrics["f1"] <= interval["high"]
