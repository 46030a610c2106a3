"""`kerasft inspect`: what it prints, how it ends, and that it loads nothing slow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kerasft import inspect
from kerasft.config.load import load_config
from kerasft.data.quality.inspection import inspect_tables
from kerasft.data.splits import stage_splits
from kerasft.evaluation.report.blocks import Section, Table
from kerasft.evaluation.report.rendering import render
from kerasft.tasks.registry import create_task

ROOT = Path(__file__).parents[1]
CLEAN = [
    {"text": f"row {i} of the {word} file", "label": "ab"[i % 2]} for i, word in enumerate("zero one two".split() * 8)
]
HOSTILE = "<script>alert(1)</script> \u202e\x1b[31m"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Returns a function: rows of train and test -> a config's file, with the folder as the current one."""
    monkeypatch.chdir(tmp_path)

    def make(train: list, test: list, **data) -> str:
        held = [{"text": f"held {'ijklmnop'[i % 8] * 9} {i}", "label": "ab"[i % 2]} for i in range(24)]
        for name, rows in (("train", train), ("validation", held), ("test", test)):
            text = "".join(json.dumps(row) + "\n" for row in rows)
            Path(f"{name}.jsonl").write_text(text, encoding="utf-8")
        sources = {"train": "train.jsonl", "validation": "validation.jsonl", "test": "test.jsonl"}
        values = {
            "name": "mine",
            "task": {"name": "text_classification"},
            "model": {"preset": "hf:nobody/nothing"},
            "data": {**sources, "columns": {"text": "text", "label": "label"}, **data},
        }
        Path("mine.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
        return "mine.yaml"

    return make


def other(rows: list) -> list:
    return [{**row, "text": f"unseen {'abcdefgh'[i % 8] * 9} {i}"} for i, row in enumerate(rows)]


def test_clean_data_ends_with_0_and_findings_with_1_from_their_level_on(project, capsys):
    clean = project(CLEAN, other(CLEAN)), "inspect.similarity=1", "inspect.fewest_rows=1"
    assert inspect.main(clean) == 0
    assert inspect.main([*clean, "inspect.fail_on=info"]) == 1
    capsys.readouterr()
    dirty = project([*CLEAN, {"text": "", "label": "a"}], other(CLEAN)), *clean[1:]
    assert inspect.main(dirty) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "empty_texts" in line]
    assert lines == [
        "warning train      empty_texts: 1 of 25 rows have an empty text; train.jsonl:25; data.clean.empty: drop"
    ]
    assert inspect.main([*dirty, "inspect.fail_on=error"]) == 0
    assert inspect.main([*dirty, "inspect.fail_on=never"]) == 0


def test_json_is_a_list_of_findings_with_their_places(project, capsys):
    config = project(CLEAN, [*other(CLEAN), CLEAN[3], {**CLEAN[4], "label": "b"}])
    assert inspect.main([config, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert all({"kind", "split", "count", "where"} <= set(finding) for finding in found)
    leaks = next(each for each in found if (each["kind"], each["split"], each.get("in")) == ("leaks", "test", "train"))
    assert (leaks["count"], leaks["other_answer"]) == (2, 1)
    assert (
        leaks["where"] == ["test.jsonl:25", "test.jsonl:26"] and leaks["fix"] == "data.clean.leakage: drop_from_train"
    )


def test_the_line_that_it_names_fixes_it(project, capsys):
    config = project([*CLEAN, CLEAN[0], {**CLEAN[1], "label": "a"}], [*other(CLEAN), CLEAN[3]])
    settings = [f"data.clean.{line}" for line in ("duplicates=drop", "conflicts=drop", "leakage=drop_from_train")]
    kinds = {}
    for overrides in ([], settings):
        inspect.main([config, "--json", *overrides])
        found = json.loads(capsys.readouterr().out)
        of_train = (each for each in found if each["split"] == "train" or each.get("in") == "train")
        kinds[bool(overrides)] = {each["kind"] for each in of_train}
    fixed = {"duplicates", "contradictions", "leaks"}
    assert fixed <= kinds[False] and not fixed & kinds[True]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.columns.label=lable"], "no column 'lable' at train.jsonl:1"),
        (["inspect.fail_on=warn"], 'inspect.fail_on: "warn" is not one of info, warning, error, never'),
        (["data.train=nowhere.csv"], "nowhere.csv"),
        (["--html", "no/folder/a.html"], "--html: no/folder is no folder"),
        (["data.clean.conflicts=majority", "task.name=text_embedding"], "data.columns"),
    ],
)
def test_a_mistake_in_the_config_is_one_line_and_exit_code_2(project, capsys, overrides, message):
    assert inspect.main([project(CLEAN, other(CLEAN)), *overrides]) == 2
    said = capsys.readouterr()
    assert said.out == "" and message in said.err and said.err.count("\n") == 1


def test_what_a_training_would_stop_at_is_a_finding(project, capsys):
    one = [{**row, "label": "a"} for row in CLEAN]
    assert inspect.main([project(one, other(one)), "--json"]) == 1
    (refused,) = (each for each in json.loads(capsys.readouterr().out) if each["kind"] == "refused")
    assert "every row has the label 'a'" in refused["what"]


def test_the_page_shows_the_rows_and_runs_nothing(project, capsys):
    config = project([*CLEAN, {"text": HOSTILE, "label": "a"}, {"text": HOSTILE, "label": "b"}], other(CLEAN))
    assert inspect.main([config, "--html", "page.html"]) == 1
    said, page = capsys.readouterr().out, Path("page.html").read_text(encoding="utf-8")
    assert "page: page.html" in said and "\x1b" not in said
    assert "<h1>mine</h1>" in page and "train.jsonl:25" in page and "Contradictions: train" in page
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page
    assert page.count("<section>") == page.count("</section>") > 2 and "http" not in page.split("<main>")[1]


def test_rows_that_a_method_learns_again_are_no_duplicates(project):
    found = {}
    for overrides in ([], ["continual.method=replay"]):
        config = load_config(project(CLEAN, other(CLEAN)), overrides)
        tables = stage_splits(config, create_task(config), lambda line: None).tables
        train = tables["train"].select([*range(len(tables["train"])), 0, 0, 1])
        rows = inspect_tables(config, create_task(config), {**tables, "train": train})
        found[bool(overrides)] = {each.kind: each.count for each in rows if each.split == "train"}
    assert found[False]["duplicates"] == 3 and "duplicates" not in found[True]
    assert (found[False]["rows"], found[True]["rows"]) == (27, 24)


def test_a_narrow_column_breaks_a_path_behind_its_slashes():
    rows = Table([("Row", "text place")], [("data/<b>/train.jsonl:25",)], visible=5)
    page = render("inspection.html.j2", title="", summary="", sections=[Section("Rows", [rows])], most=1)
    assert "data/<wbr>&lt;b&gt;/<wbr>train.jsonl:25" in page


def test_it_loads_no_tensorflow(project):
    command = [sys.executable, "-X", "importtime", "-m", "kerasft", "inspect", project(CLEAN, other(CLEAN))]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert done.returncode == 0 and "kerasft" in loaded
    assert not loaded & {"tensorflow", "keras", "keras_hub", "tensorflow_text", "jinja2", "matplotlib"}


# Name -> rows of train with an earlier near one, with the same texts, of these with another answer in their group; rows
# of test that stand in train, of these with another answer, that are near a row of train, of these with another answer.
LEAKS = {"banking77": (245, 31, 2, 25, 0, 191, 13), "weibo-ner": (106, 101, 71, 40, 11, 42, 12)}


@pytest.mark.parametrize("name", LEAKS)
def test_leaks_of_known_data_are_as_the_docs_have_them(name, capsys, tmp_path, monkeypatch, shared_data):
    config = ROOT / "configs" / f"{name}.yaml"
    monkeypatch.chdir(tmp_path)
    Path("data").symlink_to(shared_data.resolve())
    validation = ["data.validation=data/banking77/test.jsonl"] if name == "banking77" else []
    assert inspect.main([str(config), "--json", *validation]) == 1
    found = json.loads(capsys.readouterr().out)

    def of(kind, split, learnt=None):
        wanted = kind, split, learnt
        return next(each for each in found if (each["kind"], each["split"], each.get("in")) == wanted)

    near = of("near_duplicates", "train")
    leaks, alike = of("leaks", "test", "train"), of("near_leaks", "test", "train")
    assert LEAKS[name] == (
        near["with_an_earlier"],
        near["same_texts"],
        near["same_texts_other_answer"],
        leaks["count"],
        leaks["other_answer"],
        alike["count"],
        alike["other_answer"],
    )


def test_what_was_assumed_of_a_file_is_a_finding(project, capsys):
    config = project(CLEAN, other(CLEAN))
    lines = "".join(f"{row['text']};{row['label']}\n" for row in CLEAN)
    Path("train.csv").write_text("text;label\n" + lines, encoding="utf-16")
    inspect.main([config, "--json", "data.train=train.csv"])
    assumed = [each for each in json.loads(capsys.readouterr().out) if each["kind"] == "assumed"]
    assert {each["split"] for each in assumed} == {"train"}
    said = " ".join(each["what"].lower() for each in assumed)
    assert "utf-16" in said and "semicolons" in said


@pytest.mark.parametrize(
    ("coded", "said"), [((4, 9), "9 with characters outside ASCII are"), (range(1, 12), "data.encoding: cp1252")]
)
def test_lines_in_another_encoding_than_the_rest_are_named_and_the_others_are_inspected(project, capsys, coded, said):
    config = project(CLEAN, other(CLEAN))
    words = ["plain", *(f"café number {i}" for i in range(1, 12))]
    lines = [json.dumps({"text": text, "label": "ab"[i % 2]}, ensure_ascii=False) for i, text in enumerate(words)]
    coding = ["cp1252" if i in coded else "utf-8" for i in range(12)]
    Path("train.jsonl").write_bytes(b"".join(f"{line}\n".encode(code) for line, code in zip(lines, coding)))
    assert inspect.main([config, "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    (mixed,) = [each for each in findings if each["kind"] == "mixed_encodings"]
    assert mixed["where"] == [f"train.jsonl:{number + 1}" for number in coded] and mixed["level"] == "error"
    assert said in mixed["what"] + mixed["fix"]
    found = {each["kind"]: each for each in findings if each["split"] == "train"}
    assert found["rows"]["count"] == 12 and found["encodings"]["encodings"] == {"utf-8": 1}
