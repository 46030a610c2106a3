"""Dialogues from turns to a served model that answers, with and without special tokens, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny_gguf import vocabulary, write_gguf

from kerasft import evaluate, predict, train
from kerasft.config.schema import Config
from kerasft.data.prepared.prepared import NO_TARGET
from kerasft.data.tables.table import Table
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.tasks.registry import create_task

SCRATCH = {"family": "gpt2", "layers": 1, "heads": 2, "hidden": 32, "intermediate": 64, "vocabulary_size": 290}
PLAIN = {"opening": "{role}:", "end": "\n", "between": "", "turns": ["u", "a"], "learn": ["a"]}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(config: dict) -> str:
    Path("config.yaml").write_text(yaml.safe_dump(config))
    return "config.yaml"


def letters(rows: int, seed: int) -> str:
    """Dialogues of two exchanges: a letter, and the next three of the alphabet."""
    found = []
    for starts in np.random.default_rng(seed).integers(97, 119, (rows, 2)):
        found.append(
            {"turns": [text for start in starts for text in (chr(start), "".join(map(chr, start + [1, 2, 3])))]}
        )
    return "".join(f"{json.dumps(row)}\n" for row in found)


def settings(preset=None, chat=None, columns=None, **model) -> dict:
    task = {
        "name": "text_generation",
        "mode": "chat",
        "decoding": {"max_new_tokens": 6},
        "samples": 5,
        "measured_answers": 12,
    }
    return {
        "name": "tiny",
        "task": task | ({"chat": chat} if chat else {}),
        "model": {"preset": preset, "max_length": 32, "dropout": 0.0, **model},
        "data": {"train": "train.jsonl", "test": "test.jsonl", "columns": columns or {"turns": "turns"}},
        "training": {"steps": 150, "batch_size": 16, "optimizer": {"learning_rate": 1e-2}},
    }


def test_from_turns_to_a_model_that_answers(capsys):
    Path("train.jsonl").write_text(letters(300, 0))
    Path("test.jsonl").write_text(letters(20, 1))
    config = settings(chat=PLAIN, architecture={**SCRATCH, "tokens": "characters"})
    assert train.main([write(config)]) == 0, capsys.readouterr().err
    metrics = json.loads(Path("runs/tiny/metrics.json").read_text())["test"]
    assert metrics["tokens"] == 40 * 4 and metrics["rows"] == 20  # three letters and the end, of each answer
    assert metrics["perplexity"] < 1.5
    rows = [json.loads(line) for line in Path("runs/tiny/predictions/test.jsonl").read_text().splitlines()]
    right = sum(row["text"] == row["truth"] for row in rows)
    assert len(rows) == metrics["answers"] == 12 and metrics["exact_match"] == right / 12 >= 0.8
    assert metrics["rouge_1"] == pytest.approx(right / 12) and metrics["bleu_signature"].startswith("nrefs:1|")
    report = Path("runs/tiny/report.html").read_text()
    assert "ROUGE-1" in report and "Distinct-2" in report and sum(row["prompt"] in report for row in rows) >= 5
    assert all(row["prompt"].endswith("\na:") and len(row["truth"]) == 3 for row in rows)
    capsys.readouterr()
    assert evaluate.main(["runs/tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == metrics
    asked = [{"turns": ["c", "def", "m"]}, {"messages": [{"role": "u", "content": "m"}]}, {"text": "m"}]
    asked += [{"prompt": "u:m\na:"}]
    Path("in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    for model in ("runs/tiny", "saved_models/tiny"):
        assert predict.main([model, "--input", "in.jsonl"]) == 0
        assert [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()] == ["nop"] * 4


@pytest.mark.long
def test_special_tokens_of_a_gguf_part_turns(capsys):
    write_gguf(Path("a.gguf"), "Q8_0")
    words = ["the", "12", "th"]
    rows = [{"messages": [{"role": "user", "content": w}, {"role": "assistant", "content": w * 2}]} for w in words * 9]
    for split in ("train", "test"):
        Path(f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    config = settings("gguf:a.gguf", columns={"messages": "messages"})
    config["training"] |= {"steps": 3}
    assert train.main([write(config)]) == 0, capsys.readouterr().err
    capsys.readouterr()
    answers = []
    for model in ("runs/tiny", "saved_models/tiny"):
        assert predict.main([model, "--input", "test.jsonl"]) == 0
        answers.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert answers[0] == answers[1] and len(answers[0]) == 27


def test_each_token_of_a_row(tmp_path):
    write_gguf(tmp_path / "a.gguf")
    task = create_task(Config.model_validate(settings("gguf:a.gguf", chat={"system": "e"}, max_length=64)))
    preprocessor = task.preprocessor(load_backbone("a.gguf"), load_tokenizer("a.gguf"))
    row = {"roles": ["system", "user", "assistant"], "contents": ["e", "the", "12"], "text": "", "where": ""}
    found = task.prepare(Table.from_rows([row], task.schema()), preprocessor)
    ids = {token: number for number, token in enumerate(vocabulary())}
    start, end, line = "<|im_start|>", "<|im_end|>", "Ċ"
    read = [start, *"system", line, "e", end, line, start, *"user", line, "the", end, line]
    read += [start, *"assistant", line, "1", "2"]
    assert found.features["token_ids"].tolist() == [ids[token] for token in read]
    said = [ids["1"], ids["2"], ids[end]]
    assert found.targets.tolist() == [NO_TARGET] * (len(read) - 3) + said
    assert found.text_bytes == 2 and found.truncated == 0 and found.weights.tolist() == [3]
    # A client's text is cut into the same tokens.
    text = task.parse_inputs(type("Row", (), {"values": {"text": "the"}, "get": lambda *_: "the", "where": ""})())
    asked = preprocessor({"prompt": [text["prompt"]]})["token_ids"].numpy()[0].tolist()
    assert asked == found.features["token_ids"][: len(asked)].tolist() and len(asked) == len(read) - 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"columns": {"messages": "m", "turns": "t"}}, "data.columns: messages and turns are both there"),
        ({"columns": {"other": "m"}}, "data.columns: messages and turns are both missing"),
        ({"chat": {"learn": ["bot"]}}, "data.train: no turn is of bot, but of assistant, user; set task.chat.learn"),
        ({"chat": {"opening": "x"}}, "task.chat.opening: {role} is not in it"),
        ({"max_length": 7}, "every text of a split is empty, or has no room in a row"),
    ],
)
def test_mistakes_are_one_line(change, expected, capsys):
    Path("train.jsonl").write_text(letters(20, 0))
    Path("test.jsonl").write_text(letters(20, 1))
    write_gguf(Path("a.gguf"))
    assert train.main([write(settings("gguf:a.gguf", **change))]) == 2
    assert expected in capsys.readouterr().err.splitlines()[-1]
    assert not Path("runs").exists()


def test_keys_of_another_mode(capsys):
    config = settings("gguf:a.gguf", chat=PLAIN)
    config["task"] |= {"mode": "corpus"}
    assert train.main([write(config)]) == 2
    assert "task.chat is for mode chat, not corpus; remove it" in capsys.readouterr().err
