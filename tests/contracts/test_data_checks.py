"""What every check of an inspection is held to: it finds its dirt, says where, and nothing in clean data."""

import json

import numpy as np
import pytest

from kerasft.config.schema import Config
from kerasft.data.quality.base import LEVELS, MOST_ROWS, Inspected
from kerasft.data.quality.inspection import checks_of, findings
from kerasft.data.quality.registry import CHECKS
from kerasft.data.whole import read_inspected
from kerasft.tasks.registry import TASKS, create_task

TEXT, PAIR = {"text": "text", "label": "label"}, {"text": "text", "text_pair": "other", "label": "label"}
CLASSES = {"name": "text_classification"}
WORDS = "the bank opens at nine today but my card was declined while paying for lunch in town again".split()


def good(rows: int, start: int = 0) -> list[dict]:
    """Rows of a user without sin."""
    draw = np.random.default_rng(start)
    return [
        {"text": " ".join([*draw.permutation(WORDS)[:12], str(start + i)]), "label": "ab"[i % 2], "other": f"side {i}"}
        for i in range(rows)
    ]


def said(text: str, label: str = "a", **more) -> dict:
    return {"text": text, "label": label, **more}


def tagged(tags: str) -> dict:
    return {"tokens": [f"w{i}" for i, _ in enumerate(tags.split())], "tags": tags.split()}


def spans(text: str, *found) -> dict:
    return {"text": text, "spans": [list(span) for span in found]}


def answered(text: str, start: int) -> dict:
    return {"question": "Who?", "context": "Anna Berg met Otto in Bergen.", "answers": [{"text": text, "start": start}]}


CHAT = {"name": "text_generation", "mode": "chat"}
TURNS = {"messages": "messages"}
TAGS, SPANS = {"tokens": "tokens", "tags": "tags"}, {"text": "text", "spans": "spans"}
ANSWERS = {"question": "question", "context": "context", "answers": "answers"}
QUESTIONS = {"name": "question_answering"}
SIDES = {"input": "text", "output": "other"}


def dialogue(*roles: str) -> dict:
    return {"messages": [{"role": role, "content": f"turn {i} of {len(roles)}"} for i, role in enumerate(roles)]}


ENTITIES = {"name": "token_classification"}
BERN = [spans(f"in Bern {i}", (3, 7, "LOC")) for i in range(12)]
INSIDE = [spans("Bernese dog", (0, 4, "LOC")), spans("去北京了", (1, 3, "LOC"))]
CLUB = [spans(f"Bern won {i}", (0, 4, "ORG")) for i in range(12)]
ONE_YEAR, NEXT_YEAR = (said(f"a long text that ends in {year}") for year in (2018, 2019))
MISREAD = "你好".encode().decode("latin-1")
ACCOUNT = "3704 0044 0532 0130 00"

# Kind of finding -> a task with its columns, rows of train, and how many of them are counted.
DIRT = {
    "rows": (CLASSES, TEXT, good(30), 30),
    "lengths": (CLASSES, TEXT, good(30), 30),
    "encodings": (CLASSES, TEXT, good(30), 1),
    "surely_cut": (CLASSES, TEXT, [*good(30), said("word " * 40), said("字" * 40)], 2),
    "broken_rows": (CLASSES, TEXT, [*good(30), said(["x"]), said("fine", None)], [1, 1]),
    "empty_texts": (CLASSES, TEXT, [*good(30), said(" \u3000")], 1),
    "empty_targets": ({"name": "seq2seq"}, SIDES, [*good(30), said("x y", other="")], 1),
    "signs_alone": (CLASSES, TEXT, [*good(30), said("?!"), said("😀")], 2),
    "missing_values": (CLASSES, TEXT, [*good(30), said("N/A"), said("null")], 2),
    "mojibake": (CLASSES, TEXT, [*good(30), *map(said, ("cafÃ© noir", "itâ€™s", MISREAD, "a\ufffdb"))], 4),
    "control_characters": (CLASSES, TEXT, [*good(30), said("a\x00b"), said("c\x1b[31m")], 2),
    "invisible_characters": (CLASSES, TEXT, [*good(30), said("a\u200bb")], 1),
    "languages": (CLASSES, TEXT, good(30), 1),
    "other_languages": (CLASSES, TEXT, [*good(30), said("Das ist ein ganz normaler Satz über Banken")], 1),
    "label_balance": (CLASSES, TEXT, good(30), 2),
    "few_rows": (CLASSES, TEXT, [*good(30), said("rare", "c")], 1),
    "unknown_labels": (CLASSES, TEXT, good(30), None),
    "duplicates": (CLASSES, TEXT, [*good(30), said("Once more!"), said("once  more")], 1),
    "contradictions": (CLASSES, TEXT, [*good(30), said("Once more!"), said("once more", "b")], 2),
    "near_duplicates": (CLASSES, TEXT, [*good(30), ONE_YEAR, NEXT_YEAR], 2),
    "leaks": (CLASSES, TEXT, good(30), None),
    "near_leaks": (CLASSES, TEXT, good(30), None),
    "identical_sides": (CLASSES, PAIR, [*good(30), said("Same.", other="same")], 1),
    "emails": (CLASSES, TEXT, [*good(30), said("write to a.b@example.org")], 1),
    "phones": (CLASSES, TEXT, [*good(30), said("call +49 30 1234567"), said("电话13800138000")], 2),
    "cards": (CLASSES, TEXT, [*good(30), said("4111 1111 1111 1111"), said("4111 1111 1111 1112")], 1),
    "ibans": (CLASSES, TEXT, [*good(30), said(f"DE89 {ACCOUNT}"), said(f"DE88 {ACCOUNT}")], 1),
    "entities_off_word_borders": (ENTITIES, SPANS, [*BERN, *INSIDE], 1),
    "surfaces_of_several_types": (ENTITIES, SPANS, [*BERN, *CLUB], 1),
    "broken_tag_scheme": (
        ENTITIES, TAGS,
        [*(tagged("O B-X I-X") for _ in range(12)), tagged("B-X B-X"), tagged("O I-X O")], 1,
    ),
    "answers_off_word_borders": (QUESTIONS, ANSWERS, [answered("Anna", 0), answered("Berg", 22)], 1),
    "copied_inputs": ({"name": "seq2seq"}, SIDES, [*good(30), said("a copy", other="A copy.")], 1),
    "length_ratios": ({"name": "seq2seq"}, SIDES, [*good(30), said("short text", other="long " * 200)], 1),
    "turns_out_of_order": (CHAT, TURNS, [dialogue("user", "assistant"), dialogue("user", "user", "assistant")], 1),
    "unanswered_turns": (CHAT, TURNS, [dialogue("user", "assistant"), dialogue("user", "assistant", "user")], 1),
}  # fmt: skip
MEASURED = {
    "unknown_labels": [*good(20, 100), said("new here", "z")],
    "leaks": [*good(20, 100), {**good(1)[0], "label": "b"}],
    "near_leaks": [*good(20, 100), {**good(1)[0], "text": good(1)[0]["text"] + "s"}],
}
BEYOND = {"not_compared", "assumed", "mixed_encodings"}  # takes much text; are about files, see test_inspect.py


@pytest.fixture
def inspect(tmp_path):
    """Returns a function: a task, columns and rows of each split -> what is found, and the data."""

    def run(task: dict, columns: dict, **splits) -> tuple[list, Inspected]:
        for split, rows in splits.items():
            (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        architecture = {"family": "bart" if task["name"] == "seq2seq" else "gpt2" if "mode" in task else "bert"}
        sources = {split: str(tmp_path / f"{split}.jsonl") for split in splits}
        config = Config.model_validate(
            {
                "name": "n",
                "task": task,
                "model": {"preset": None, "architecture": architecture, "max_length": 32},
                "data": {**sources, "columns": columns},
            }
        )
        made = create_task(config)
        checks = checks_of(made.checks)
        data = read_inspected(config, made, checks, lambda remark: None)
        return findings(data, checks), data

    return run


def of_kind(found, kind: str, split: str = "train"):
    return [finding for finding in found if finding.kind == kind and finding.split == split]


def test_every_kind_of_finding_has_its_dirt():
    kinds = [kind for check in CHECKS for kind in check.kinds]
    kinds += [kind for task in TASKS for check in _own_checks(task) for kind in check.kinds]
    assert sorted({*kinds}) == sorted({*DIRT, *BEYOND})
    assert all(level in LEVELS for check in CHECKS for level in check.kinds.values())


def _own_checks(name: str) -> tuple:
    columns = {"seq2seq": SIDES, "text_generation": TURNS}.get(name, TEXT)
    task = CHAT if name == "text_generation" else {"name": name}
    values = {"name": "n", "task": task, "model": {"preset": "x"}, "data": {"train": "x", "columns": columns}}
    return create_task(Config.model_validate(values)).checks


@pytest.mark.parametrize("kind", DIRT)
def test_dirt_is_found_counted_and_named(inspect, kind):
    task, columns, rows, count = DIRT[kind]
    measured, split = MEASURED.get(kind, rows[:20]), "test" if kind in MEASURED else "train"
    found, data = inspect(task, columns, train=rows, validation=rows[:20], test=measured)
    kinds = of_kind(found, kind, split)
    counts = [finding.count for finding in kinds]
    assert counts == count if isinstance(count, list) else counts[:1] == [count or 1]
    for finding in kinds:
        assert finding.level in LEVELS and len(finding.rows) <= MOST_ROWS
        assert json.loads(json.dumps(finding.as_json()))["where"] == [row.where for row in finding.rows]
        assert all(row.where.rpartition(":")[2].isdigit() for row in finding.rows)
        if split == "train" and finding.rows and kind != "surfaces_of_several_types":
            assert len(finding.rows) == finding.count


def test_clean_data_has_no_warning(inspect):
    found, _ = inspect(CLASSES, TEXT, train=good(40), validation=good(20, 100), test=good(20, 200))
    assert {finding.kind for finding in found if finding.level != "info"} == set()
    assert {finding.split for finding in found} == {"train", "validation", "test"}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_order_of_rows_makes_no_difference(inspect, check):
    rows = [*good(30), *(row for kind in ("duplicates", "few_rows", "emails") for row in DIRT[kind][2][30:])]
    _, data = inspect(CLASSES, TEXT, train=rows, validation=good(20, 100), test=[*good(20, 200), *rows[:3]])
    order = np.random.default_rng(1).permutation(len(rows))
    shuffled = {name: split.table for name, split in data.splits.items()} | {
        "train": data.splits["train"].table.select(order)
    }
    other = Inspected(data.config, data.task, shuffled, decodings=data.decodings)
    first, second = ([(f.kind, f.split, f.count) for f in check().find(each)] for each in (data, other))
    assert first == second


def test_a_row_that_can_not_be_read_does_not_stop_it(inspect):
    rows = [*good(10), said({"no": "text"}), *good(10, 50), said("x", ""), said("y", None), said("z", "a")]
    found, data = inspect(CLASSES, TEXT, train=rows, validation=good(20, 100))
    broken = of_kind(found, "broken_rows")
    assert sum(finding.count for finding in broken) == 3 and len(data.splits["train"]) == 21
    assert sorted(row.where.rpartition(":")[2] for finding in broken for row in finding.rows) == ["11", "22", "23"]
