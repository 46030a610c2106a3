"""`kerasft audit-labels`: every row is judged out of fold, wrong labels come first, and corrections are read back."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from cleanlab.filter import find_label_issues

from kerasft import audit_labels
from kerasft.auditing.audit import check_auditable
from kerasft.config.load import load_config
from kerasft.data.prepared.spans import Spans
from kerasft.data.splits import read_split, stage_splits
from kerasft.errors import BadRow, UserError
from kerasft.tasks.registry import create_task
from kerasft.tasks.token_classification.audit import judge_entities

OTHER = {"sport": "money", "money": "sport"}
SPORT, MONEY = "goal match team score coach".split(), "bank market stock price trade".split()


def write_project(folder: Path, preset: Path, rows: list[dict], task: dict, columns: dict, **training) -> str:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "train.jsonl").write_text(text, encoding="utf-8")
    values = {
        "name": "tiny",
        "task": task,
        "model": {"preset": str(preset), "max_length": 16},
        "data": {"train": "train.jsonl", "validation": 0.25, "columns": columns},
        "training": {"epochs": 2, "batch_size": 8, "optimizer": {"learning_rate": 3e-2}, **training},
        "audit": {"folds": 2, "neighbours": 5},
    }
    (folder / "my.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return "my.yaml"


def topics(rows: int) -> list[dict]:
    draw = np.random.default_rng(0)
    return [
        {"text": " ".join(draw.choice((SPORT, MONEY)[i % 2], 6)), "label": ("sport", "money")[i % 2]}
        for i in range(rows)
    ]


def review(folder: str) -> list[dict]:
    with open(Path(folder) / "labels-review.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_review(path: str, rows: list[dict]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def audited(tmp_path, tiny_preset, monkeypatch):
    """A project with 4 wrong labels in 60, and its audit by fitted heads."""
    monkeypatch.chdir(tmp_path)
    rows, wrong = topics(60), (4, 21, 38, 51)
    for row in wrong:
        rows[row]["label"] = OTHER[rows[row]["label"]]
    rows.append(dict(rows[4], text=rows[4]["text"].upper()))  # its twin would confirm it
    config = write_project(tmp_path, tiny_preset, rows, {"name": "text_classification", "pooling": "mean"},
                           {"text": "text", "label": "label"})  # fmt: skip
    assert audit_labels.main([config, "audit.frozen=true", "--output", "audit"]) == 0
    return config, {f"train.jsonl:{row + 1}" for row in (*wrong, 60)}


def test_wrong_labels_come_first_and_the_corrected_file_is_read_back(audited, capsys):
    config, wrong = audited
    rows = review("audit")
    assert list(rows[0]) == ["where", "text", "label", "suggested", "score"] and len(rows) == 61
    assert {row["where"] for row in rows[:5]} == wrong
    scores = [float(row["score"]) for row in rows]
    assert sum(score > 0.5 for score in scores[:5]) >= 3
    assert all((row["suggested"] != row["label"]) == (float(row["score"]) > 0.5) for row in rows), "of two classes"
    assert scores == sorted(scores, reverse=True) and 0 <= scores[-1] <= scores[0] <= 1
    details = [json.loads(line) for line in Path("audit/audit.jsonl").read_text().splitlines()]
    assert details[4]["fold"] == details[60]["fold"], "copies are in one fold"
    matrix = np.load("audit/probabilities.npz")
    theirs = find_label_issues(matrix["given"], matrix["probabilities"], n_jobs=1)
    assert [each["issue"] for each in details] == theirs.tolist() and 0 < theirs.sum() < 61

    assert audit_labels.main([config, "audit.frozen=true", "--output", "audit"]) == 2
    assert "holds an audit; name another folder" in capsys.readouterr().err

    def labels(*overrides):
        resolved = load_config(config, overrides)
        staged = stage_splits(resolved, create_task(resolved), lambda line: None)
        tables = [staged.tables["train"], staged.tables["validation"]]
        pairs = (pair for table in tables for pair in zip(table.column("where"), table.column("label")))
        return dict(pairs), staged

    plain, _ = labels()
    as_it_is, staged = labels("data.corrections=audit/labels-review.csv")
    assert as_it_is == plain and "data.corrections.column: suggested" in staged.remarks[0]
    for row in rows[:5]:
        row["label"] = row["suggested"] = OTHER[row["label"]]
    write_review("mine.csv", rows)
    edited, staged = labels("data.corrections=mine.csv")
    assert {where for where in plain if plain[where] != edited[where]} == wrong
    assert {change.where for change in staged.changes} == wrong
    write_review("few.csv", [{**row, "label": "not read"} for row in rows[:5]])
    suggested, _ = labels("data.corrections={file: few.csv, column: suggested}")
    assert suggested == edited
    assert labels("data.corrections=mine.csv", "seed=3")[0] == edited, "whatever the seed draws for validation"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "another text"}, "few.csv:2: there is no row with this text"),
        ({"label": ""}, "few.csv:2: .*the label is ''"),
        (None, "few.csv:3: says .* of the row at .*keep one of them"),
    ],
)
def test_a_correction_that_fits_no_row_or_contradicts_another_is_refused(audited, capsys, change, message):
    config, _ = audited
    first = review("audit")[0]
    other = {**first, "label": OTHER[first["label"]]}
    write_review("few.csv", [{**first, **change}] if change else [first, other])
    resolved = load_config(config, ["data.corrections=few.csv"])
    with pytest.raises(Exception, match=message):
        stage_splits(resolved, create_task(resolved), lambda line: None)


def staged_with(config, *overrides):
    resolved = load_config(config, overrides)
    return stage_splits(resolved, create_task(resolved), lambda line: None)


def test_a_review_fits_rows_that_cleaning_changes_and_shots_leave_out(audited):
    config, _ = audited
    lines = Path("train.jsonl").read_text().splitlines()
    row = json.loads(lines[0])
    lines[0] = json.dumps(row | {"text": f"{row['text']} me@example.com"})
    Path("train.jsonl").write_text("\n".join(lines) + "\n")
    clean = "data.clean={redact: mask}"
    assert audit_labels.main([config, "audit.frozen=true", clean, "--output", "masked"]) == 0
    rows = review("masked")
    first = next(each for each in rows if each["where"] == "train.jsonl:1")
    assert first["text"].endswith("[EMAIL]")
    first["label"] = OTHER[first["label"]]
    write_review("mine.csv", rows)

    def corrected(*overrides):
        changes = staged_with(config, "data.corrections=mine.csv", clean, *overrides).changes
        return [each.where for each in changes if each.why == "corrections"]

    assert corrected() == ["train.jsonl:1"]
    assert corrected("data.shots=8") in ([], ["train.jsonl:1"])  # rows that were not drawn are no mistake


def test_an_audit_is_replaced_once_the_data_are_read_and_never_with_the_corrections(audited, capsys):
    config, _ = audited
    again = [config, "audit.frozen=true", "--output", "audit", "--overwrite"]
    before = Path("audit/labels-review.csv").read_bytes()
    assert audit_labels.main([*again, "data.train=none.jsonl"]) == 2
    assert audit_labels.main([*again, "data.corrections=audit/labels-review.csv"]) == 2
    assert "audit holds audit/labels-review.csv, which data.corrections reads" in capsys.readouterr().err
    assert Path("audit/labels-review.csv").read_bytes() == before


SECTIONS = {
    "several labels": ({"name": "text_classification", "problem": "multi_label"}, {"text": "text", "label": "labels"}),
    "a number": ({"name": "text_classification", "problem": "regression"}, {"text": "text", "label": "score"}),
    "entities": ({"name": "token_classification", "stride": 4}, {"tokens": "tokens", "tags": "tags"}),
    "a relation": ({"name": "relation_extraction"}, {"text": "marked", "label": "label"}),
    "answers": (
        {"name": "question_answering", "stride": 4, "max_question_length": 8},
        {"question": "text", "context": "pair", "answers": "answers"},
    ),
}


UNREADABLE = {"several labels": "[0, 0, 1]", "a number": "much", "a relation": ""}


def of_every_task() -> list[dict]:
    draw, rows = np.random.default_rng(0), []
    for number in range(24):
        sport = number % 2 == 0
        tokens = [str(word) for word in draw.choice(SPORT if sport else MONEY, 5)]
        text = " ".join(tokens)
        label = "sport" if sport else "money"
        rows.append(
            {
                "text": text, "label": label, "labels": [label, "all"], "score": number / 7.0, "tokens": tokens,
                "tags": ["B-" + label if token in ("goal", "bank") else "O" for token in tokens],
                "marked": f"<e1>{tokens[0]}</e1> {tokens[1]} <e2>{tokens[2]}</e2>", "pair": f"{text} {number}",
                "answers": [{"text": tokens[0], "start": 0}],
            }
        )  # fmt: skip
    return rows


def test_numbers_are_judged_by_models_that_are_trained(tmp_path, tiny_preset, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = write_project(tmp_path, tiny_preset, of_every_task(), *SECTIONS["a number"], epochs=1)
    assert audit_labels.main([config, "--output", "audit"]) == 0
    rows = review("audit")
    assert {row["where"] for row in rows} == {f"train.jsonl:{number}" for number in range(1, 25)}
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True) and 0 <= scores[-1] <= scores[0] <= 1
    predictions = {}
    for fold in ("fold-1", "fold-2"):
        for line in Path(f"audit/folds/{fold}/predictions/test.jsonl").read_text().splitlines():
            answer = json.loads(line)
            predictions[answer["text"]] = answer["value"]
    for row in rows:
        assert float(row["suggested"]) == pytest.approx(predictions[row["text"]], abs=1e-4)


@pytest.mark.parametrize("name", list(SECTIONS))
def test_answers_of_every_kind_are_written_and_read_back(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task, columns = SECTIONS[name]
    config = load_config(write_project(tmp_path, tmp_path, of_every_task(), task, columns))
    made = create_task(config)
    made.check_audit()
    table = read_split(config, made, "train.jsonl", "train", lambda line: None)
    for row in table.rows(range(len(table))):
        assert row | made.read_answer(made.write_answer(row), row) == row
        with pytest.raises(BadRow, match="train.jsonl"):
            made.read_answer(UNREADABLE.get(name, "[["), row)


def test_entities_are_doubted_as_much_as_their_least_believed_word():
    """Two texts of two units each: `Anna went`, `in Bergen`."""
    units = Spans(*map(np.array, ([0, 0, 1, 1], [0, 5, 0, 3], [4, 9, 2, 9], [0, 0, 0, 0])))
    split = SimpleNamespace(
        answers=np.array([True, True, False, True, True]), units=units, targets=np.array([1, 0, -1, 0, 0]), texts=2
    )
    logits = np.log([[0.1, 0.8, 0.1], [0.9, 0.05, 0.05], [1, 1, 1], [0.6, 0.2, 0.2], [0.1, 0.7, 0.2]])
    predicted = Spans(*map(np.array, ([0, 1], [0, 3], [4, 9], [0, 0])))
    judged = judge_entities(split, logits, predicted, ["NAME"])
    assert judged.doubt == pytest.approx([0.2, 0.9])
    assert judged.suggested == ['[[0, 4, "NAME"]]', '[[3, 9, "NAME"]]']
    assert judged.units[0].rows.tolist() == [0, 0, 1, 1] and judged.units[0].given.tolist() == [1, 0, 0, 0]


def test_a_task_without_labels_and_a_chain_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for task, columns, message in (
        ({"name": "masked_lm"}, {"text": "text"}, "masked_lm has no labels that can be audited"),
        ({**SECTIONS["entities"][0], "crf": True}, SECTIONS["entities"][1], "task.crf: true.*task.crf=false"),
    ):
        config = load_config(write_project(tmp_path, tmp_path, of_every_task(), task, columns))
        with pytest.raises(UserError, match=message):
            check_auditable(config, create_task(config))
