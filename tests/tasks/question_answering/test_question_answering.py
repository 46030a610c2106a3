"""From questions with contexts to served answers: the programs, what rows look like, and what they may get wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from kerasft import evaluate, predict, train
from kerasft.config.schema import Config
from kerasft.data.sources.sources import Record
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.tasks.question_answering.rows import read_answers
from kerasft.tasks.registry import create_task

COLUMNS = {"question": "question", "context": "context", "answers": "answers"}
CONTEXT = "In 北京, e\u0301t\u00e9 1820:  Anna 😀 built it. Anna!"


def make_config(folder=Path("."), model=None, columns=None, training=None, **task):
    return Config.model_validate(
        {
            "name": "tiny",
            "task": {"name": "question_answering", **task},
            "model": {"preset": "tiny", **(model or {})},
            "data": {
                "train": str(folder / "train.jsonl"),
                "validation": 0.5,
                "columns": {**COLUMNS, **(columns or {})},
            },
            "training": training or {},
        }
    )


@pytest.mark.parametrize(
    "value",
    [
        [{"text": "Anna", "start": 19}, {"text": "北京", "start": 3}],
        [{"text": "Anna ", "answer_start": 19}, {"text": "北京", "answer_start": 3}],
        {"text": ["Anna", " 北京"], "answer_start": [19, 2]},
        json.dumps([{"text": "Anna", "start": 19}, {"text": "北京", "start": 3}]),
    ],
)
def test_every_form_of_answers(value):
    spans = read_answers(value, CONTEXT, "answers", "f:1")
    assert [CONTEXT[a:b] for a, b in spans] == ["Anna", "北京"]


@pytest.mark.parametrize("value", [None, [], "", "[]", {"text": [], "answer_start": []}])
def test_no_answers(value):
    assert read_answers(value, CONTEXT, "answers", "f:1") == []


BAD = [
    (
        [{"text": "Anna", "start": 20}],
        "the answer 'Anna' is not at 20, where 'nna ' stands; it stands at 19: write that",
    ),
    ([{"text": "Anna", "start": 30}], "is not at 30, where 't it' stands; it stands at 36: write that"),
    ([{"text": "Anna", "start": -1}], "is not at -1, outside the 41 characters of the context; it stands at 19"),
    ([{"text": "Bob", "start": 3}], "is not at 3, where '北京,' stands; remove it, or give the context that holds it"),
    ([{"text": "Bob", "start": 99}], "is not at 99, outside the 41 characters"),
    ([{"text": " ", "start": 2}], "an answer is ' '; leave the list of answers empty where there is none"),
    ([{"text": "Anna"}], "{'text': 'Anna'} in column 'answers'; write [{\"text\": TEXT, \"start\": NUMBER}, ...]"),
    ([{"text": "Anna", "start": "19"}], 'write [{"text": TEXT'),
    (["Anna"], "'Anna' in column 'answers'; write"),
    ("Anna", "column 'answers' is not JSON"),
    (7, "column 'answers' is 7; write"),
]


@pytest.mark.parametrize("value, message", BAD)
def test_bad_answers_and_how_many_more(tmp_path, value, message):
    rows = [{"question": "?", "context": CONTEXT, "answers": [{"text": "Anna", "start": 19}]}]
    rows += [{"question": "?", "context": CONTEXT, "answers": value}] * 2 + rows
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = make_config(tmp_path)
    with pytest.raises(UserError) as error:
        load_splits(config, create_task(config))
    said = str(error.value)
    assert (
        said.startswith(f"{path}:2: ") and message in said and said.rstrip(")").split("(and ")[1].startswith("1 more")
    )


def test_a_bad_answer_of_a_squad_file_names_its_question(tmp_path):
    answers = [{"text": "Anna", "answer_start": 16}]
    paragraph = {"context": CONTEXT, "qas": [{"id": "q1", "question": "Who?", "answers": answers}]}
    (tmp_path / "train.jsonl").write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}), encoding="utf-8")
    config = make_config(tmp_path)
    with pytest.raises(UserError, match=r"train.jsonl:1, question q1: the answer 'Anna' is not at 16"):
        load_splits(config, create_task(config))


@pytest.mark.parametrize(
    "row, message",
    [
        ({"context": "a", "answers": []}, "data.columns.question: no column 'question' at f:1"),
        ({"question": "?", "answers": []}, "data.columns.context: no column 'context' at f:1"),
        ({"question": "?", "context": "a"}, "data.columns.answers: no column 'answers' at f:1"),
        ({"question": None, "context": "a", "answers": []}, "f:1: column 'question' is None; a text is needed"),
    ],
)
def test_missing_columns(row, message):
    with pytest.raises(UserError, match=message):
        create_task(make_config()).parse(Record(row, "f:1"))


def test_what_predict_reads():
    task = create_task(make_config(columns={"question": "Frage", "id": "key"}))
    for name in ("Frage", "question"):
        found = task.parse_inputs(Record({name: "?", "context": "a"}, "f:1"))
        assert found == {"question": "?", "context": "a"}


def test_data_without_answers(tmp_path):
    row = {"question": "?", "context": "a", "answers": []}
    (tmp_path / "train.jsonl").write_text((json.dumps(row) + "\n") * 4, encoding="utf-8")
    config = make_config(tmp_path)
    with pytest.raises(UserError, match="data.train: no question has an answer; check data.columns.answers"):
        load_splits(config, create_task(config))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"max_question_length": 65}, "task.max_question_length: 65 is more than half of model.max_length; use 64 or"),
        ({"training": {"label_smoothing": 0.1}}, "training.class_weights and training.label_smoothing"),
        ({"training": {"class_weights": "balanced"}}, "training.class_weights and training.label_smoothing"),
    ],
)
def test_config_mistakes(change, message):
    with pytest.raises(UserError, match=message):
        create_task(make_config(**change)).check_config()


def write_questions(path: Path, rows: int, seed: int) -> None:
    """Contexts of words, some longer than a window; the answer is the bank, where there is one."""
    random = np.random.default_rng(seed)
    words, lines = "goal match team score coach".split(), []
    for number in range(rows):
        context = random.choice(words, random.integers(5, 40)).tolist()
        if random.random() < 0.7:
            context[random.integers(len(context))] = "bank"
        text = "😀 " + " ".join(context)
        answers = [{"text": "bank", "start": text.index("bank")}] if "bank" in text else []
        lines.append(json.dumps({"id": f"q{number}", "question": "the bank", "context": text, "answers": answers}))
    path.write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def project(tmp_path, tiny_preset, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make() -> None:
        write_questions(tmp_path / "train.jsonl", 96, 0)
        write_questions(tmp_path / "test.jsonl", 33, 1)
        config = {
            "name": "tiny",
            "task": {"name": "question_answering", "max_question_length": 8, "stride": 4, "n_best": 3},
            "model": {"preset": str(tiny_preset), "max_length": 24},
            "data": {
                "train": "train.jsonl",
                "validation": 0.25,
                "test": "test.jsonl",
                "columns": {**COLUMNS, "id": "id"},
            },
            "training": {"epochs": 4, "batch_size": 8, "optimizer": {"learning_rate": 3e-2, "weight_decay": 0.0}},
        }
        Path("config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    return make


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_from_questions_to_served_answers(project, capsys):
    project()
    assert train.main(["config.yaml"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    assert metrics["rows"] == 33 and metrics["f1"] > 0.9 and metrics["exact_match"] > 0.9
    assert metrics["interval"]["low"] <= metrics["f1"] <= metrics["interval"]["high"] and metrics["unreachable"] == 0
    assert metrics["no_answer_f1"] > 0.8 and np.isfinite(metrics["threshold"])
    assert "exact match" in said and "without an answer" in said and "saved_models/tiny/1" in said
    page = Path("runs/tiny/report.html").read_text()
    assert "Exact match" in page

    rows, data = lines(Path("runs/tiny/predictions/test.jsonl")), lines(Path("test.jsonl"))
    for row, given in zip(rows, data, strict=True):
        assert row["id"] == given["id"] and row["truth"] == [answer["text"] for answer in given["answers"]]
        assert row["answer"] == (row["context"][row["start"] : row["end"]] if row["start"] >= 0 else "")
        assert len(row["n_best"]) == 3 and row["n_best"][0]["score"] >= row["n_best"][2]["score"]
    assert np.mean([row["f1"] for row in rows]) == pytest.approx(metrics["f1"])
    assert np.mean([row["exact_match"] for row in rows]) == pytest.approx(metrics["exact_match"])

    for model in ("runs/tiny", "saved_models/tiny"):
        assert predict.main([model, "--input", "test.jsonl", "--batch-size", "5"]) == 0
        answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        for row, answer in zip(rows, answers, strict=True):
            assert [answer[name] for name in ("answer", "start", "end")] == [
                row[name] for name in ("answer", "start", "end")
            ]
            assert answer["score"] == pytest.approx(row["score"], abs=1e-4)
    assert evaluate.main(["runs/tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["f1"] == metrics["f1"]


@pytest.mark.parametrize(
    "value",
    [
        "{'text': ['Anna '], 'answer_start': [19]}",
        "{'text': array(['Anna'], dtype=object), 'answer_start': array([19], dtype=int32)}",
        "[{'text': 'Anna', 'start': 19}]",
        '[{"text": "Anna\u200b", "start": 19}]',
    ],
)
def test_answers_of_a_cell_are_read_however_a_program_wrote_them(value):
    context = "北京, and the mill: Anna\u200b built it"
    start = context.index("Anna")
    value = value.replace("19", str(start)).replace("Anna ", "Anna\u200b")
    assert read_answers(value, context, "answers", "f:1") == [(start, start + 4)]
