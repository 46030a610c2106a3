"""`kerasft init FILE`: the config that it writes fits the file, and what was guessed is said."""

import json
from pathlib import Path

import pytest

from kerasft import init
from kerasft.config.load import load_config
from kerasft.data.splits import load_splits
from kerasft.tasks.registry import create_task


def rows(count: int, **columns) -> list[dict]:
    return [{name: value(number) for name, value in columns.items()} for number in range(count)]


def text(number: int) -> str:
    return f"my card number {number} was not accepted at the shop"


FILES = {
    "reviews.csv": ("text_classification", {"text": "Review", "label": "Stars"}, {"problem": "single_label"}),
    "many.jsonl": ("text_classification", {"text": "text", "label": "emotions"}, {"problem": "multi_label"}),
    "pairs.jsonl": (
        "text_classification", {"text": "sentence1", "text_pair": "sentence2", "label": "score"},
        {"problem": "regression"},
    ),
    "odd.csv": ("text_classification", {"text": "what they said", "label": "dept"}, {"problem": "single_label"}),
    "train.conll.jsonl": ("token_classification", {"tokens": "tokens", "tags": "ner_tags"}, {}),
    "spans.jsonl": ("token_classification", {"text": "text", "spans": "entities"}, {}),
    "qa.jsonl": ("question_answering", {"question": "question", "context": "context", "answers": "answers"}, {}),
    "relations.jsonl": ("relation_extraction", {"text": "text", "label": "relation"}, {"tags": ("e1", "e2")}),
    "chat.jsonl": ("text_generation", {"messages": "messages"}, {"mode": "chat"}),
    "sides.jsonl": ("seq2seq", {"input": "source", "output": "target"}, {}),
    "bare.txt": ("masked_lm", {"text": "text"}, {}),
}  # fmt: skip
ROWS = {
    "many.jsonl": rows(30, text=text, emotions=lambda n: ["joy", "fear"][: n % 3]),
    "pairs.jsonl": rows(30, sentence1=text, sentence2=text, score=lambda n: n / 7),
    "train.conll.jsonl": rows(30, id=str, tokens=lambda n: ["in", "Bern"], ner_tags=lambda n: ["O", "B-LOC"]),
    "spans.jsonl": rows(30, text=text, entities=lambda n: [[3, 7, "THING"]]),
    "qa.jsonl": rows(30, id=str, question=text, context=text, answers=lambda n: [{"text": "my", "start": 0}]),
    "relations.jsonl": rows(30, text=lambda n: f"<e1>a{n}</e1> in <e2>b</e2>", relation=lambda n: "xy"[n % 2]),
    "chat.jsonl": rows(
        30, messages=lambda n: [{"role": "user", "content": "hi"}, {"role": "assistant", "content": f"{n}"}]
    ),
    "sides.jsonl": rows(30, source=text, target=lambda n: text(n)[:9]),
}


def write(name: str) -> None:
    if name == "reviews.csv":
        content = "Id,Review,Stars\n" + "".join(f'{n},"{text(n)}, again",{n % 5}\n' for n in range(30))
    elif name == "odd.csv":
        content = "what they said;dept\n" + "".join(f"{text(n)};{['sales', 'help'][n % 2]}\n" for n in range(30))
    elif name == "bare.txt":
        content = "".join(text(n) + "\n" for n in range(30))
    else:
        content = "".join(json.dumps(row) + "\n" for row in ROWS[name])
    Path(name).write_text(content, encoding="utf-8")


@pytest.mark.parametrize("name", list(FILES))
def test_the_config_fits_the_file(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    task, columns, keys = FILES[name]
    write(name)
    assert init.main([name, "--output", "my.yaml"]) == 0, capsys.readouterr().err
    config = load_config("my.yaml")
    assert (config.task.name, config.data.columns) == (task, columns)
    for key, value in keys.items():
        assert getattr(config.task, key) == value or tuple(getattr(config.task, key)) == value
    tables = load_splits(config, create_task(config), lambda line: None)
    assert {split: len(table) for split, table in tables.items()} == {"train": 24, "validation": 3, "test": 3}
    comments = [line for line in Path("my.yaml").read_text().splitlines() if line.startswith("#")]
    said = capsys.readouterr()
    assert len(comments) >= 4 and all(line[2:] in said.err + said.out for line in comments[1:])


def test_files_beside_it_are_its_splits_and_a_config_is_never_replaced(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("train.csv", "dev.csv", "test.csv"):
        Path(name).write_text("text,label\n" + "".join(f"{text(n)},{n % 2}\n" for n in range(30)))
    assert init.main(["train.csv", "--output", "my.yaml"]) == 0
    data = load_config("my.yaml").data
    assert (data.validation, data.test) == ("dev.csv", "test.csv")
    assert init.main(["train.csv", "--output", "my.yaml"]) == 2
    assert "--output: my.yaml exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("a,b\n1,2\n3,4\n", [], "no column looks like a text; there are: a, b"),
        ("text,label\nhello you,1\n", ["--task", "question_answering"], "its columns are not there"),
        ("text,label\nhello you,1\n", ["--task", "nonsense"], "--task nonsense: no config can be guessed for it"),
    ],
)
def test_what_fits_no_task_is_refused_in_one_line(content, arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text(content)
    assert init.main(["x.csv", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1 and not Path("x.yaml").exists()
