"""What every stage between reading and learning labels is held to; one joins with a line of ASKED."""

import json
from collections import Counter

import numpy as np
import pytest

from kerasft.config.schema import Config
from kerasft.data.splits import stage_splits
from kerasft.data.stages.base import Staged
from kerasft.data.stages.registry import STAGES
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task

# What of a config asks for each stage in a way that takes rows out of train.
ASKED = {
    "sample": {"limit": 11},
    "test_share": {"test": 0.25},
    "shots": {"shots": 3},
    "validation_share": {"validation": 0.25},
    "corrections": {"corrections": "corrections.csv"},
    "normalise": {"clean": {"normalise": "drop"}},
    "redact": {"clean": {"redact": "drop"}},
    "empty": {"clean": {"empty": "drop"}},
    "languages": {"clean": {"languages": "drop"}},
    "leakage": {"clean": {"leakage": "drop_from_train"}},
    "conflicts": {"clean": {"conflicts": "majority"}},
    "duplicates": {"clean": {"duplicates": "drop"}},
    "near_duplicates": {"clean": {"near_duplicates": "drop"}},
    "mitigate": {"mitigate": {"methods": ["counterfactual", "reweigh"]}},  # with words.yaml
}
CHANGES, ADDS = "corrections", "mitigate"  # take no row out
TRAIN = [
    ("Open it!", "a"), ("open  it", "a"), ("OPEN IT?", "b"),  # a copy, and a contradiction that most outvote
    ("２０１８", "a"), ("2018", "a"), ("2019", "a"),  # the width of digits is no difference, the year is one
    ("fine 😀", "a"), ("fine 😡", "b"),  # an emoji may be all that an answer goes by
    ("", "a"), (" \u3000", "b"),
    ("level", "a"), ("level", "b"),  # none has most
    ("in test", "a"), ("In test.", "b"), ("in validation", "b"),
    ("不要", "a"), ("要", "b"), ("é", "a"), ("e\u0301", "a"), ("👩‍👩‍👧", "b"), ("\u200b", "a"), ("alone", "b"),
    ("the bank has not sent my new card yet", "b"), ("The bank has not sent my new cards yet", "b"),
    ("the bank has not sent me a new card yet", "a"),  # near, with another answer
    ("Das ist ein ganz normaler deutscher Satz über Banken", "a"),
    ("cafÃ© au lait", "a"), ("write to ann@example.org", "b"), ("a\x07b", "a"),
]  # fmt: skip
HELD = {
    "validation": [("In validation", "b"), ("x", "a")],
    "test": [("IN TEST", "b"), ("y", "a"), ("y", "b"), ("", "a")],
}


@pytest.fixture(params=STAGES, ids=lambda stage: stage.name)
def stage(request):
    return request.param


def config_of(folder, **data) -> Config:
    return Config.model_validate(
        {
            "name": "n",
            "task": {"name": "text_classification"},
            "model": {"preset": "x"},
            "data": {
                **{split: str(folder / f"{split}.jsonl") for split in ("train", *HELD)},
                "columns": {"text": "text", "label": "label"},
                **data,
            },
        }
    )


@pytest.fixture
def files(tmp_path):
    """A folder with the rows above, a file a split."""
    for split, rows in {"train": TRAIN, **HELD}.items():
        lines = (json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
        (tmp_path / f"{split}.jsonl").write_text("".join(lines))
    (tmp_path / "corrections.csv").write_text(f"where,text,label\n{tmp_path}/train.jsonl:1,Open it!,b\n")
    (tmp_path / "words.yaml").write_text("who: {one: [alone], other: [nobody]}\n")
    return tmp_path


def asked(stage, folder, seed=0) -> tuple[Config, dict[str, Table]]:
    """A config that asks for one stage alone, and the tables that it gets."""
    plain = config_of(folder)
    tables = dict(stage_splits(plain, create_task(plain)).tables)
    wish = ASKED[stage.name]
    wish = {key: str(folder / value) if isinstance(value, str) else value for key, value in wish.items()}
    if stage.name == ADDS:
        wish["mitigate"] = wish["mitigate"] | {"words": str(folder / "words.yaml")}
    config = config_of(folder, **wish).model_copy(update={"seed": seed})
    for split in HELD:
        if isinstance(getattr(config.data, split), float):
            del tables[split]
    return config, tables


def applied(stage, config, tables) -> Staged:
    return stage.apply(tables, config, create_task(config))


def said(table: Table) -> Counter:
    return Counter(zip(table.column("text"), table.column("label")))


def test_every_stage_is_held_to_it():
    assert list(ASKED) == [stage.name for stage in STAGES]


def test_it_runs_only_where_the_config_asks_for_it(stage, files):
    plain, (config, _) = config_of(files), asked(stage, files)
    assert stage.applies(config) and not stage.applies(plain)


def test_some_rows_of_train_go_and_each_of_the_others_still_says_where_it_is_from(stage, files):
    config, tables = asked(stage, files)
    train = applied(stage, config, tables).tables["train"]
    if stage.name == CHANGES:
        assert said(train) == said(tables["train"]) - Counter([("Open it!", "a")]) + Counter([("Open it!", "b")])
        return
    if stage.name == ADDS:
        assert said(train) - said(tables["train"]) == Counter([("nobody", "b")])
        return
    assert 0 < len(train) < len(TRAIN)
    for row in train.rows(range(len(train))):
        file, _, line = row["where"].rpartition(":")
        assert file == str(files / "train.jsonl") and TRAIN[int(line) - 1] == (row["text"], row["label"])


def test_a_test_set_of_its_own_is_as_it_was(stage, files):
    config, tables = asked(stage, files)
    after = applied(stage, config, tables).tables
    for split in HELD:
        if split in tables:
            assert after[split].fingerprint() == tables[split].fingerprint()


def test_the_same_seed_gives_the_same_rows(stage, files):
    config, tables = asked(stage, files, seed=3)
    first, again = (applied(stage, config, tables).tables for _ in range(2))
    assert {split: table.fingerprint() for split, table in first.items()} == {
        split: table.fingerprint() for split, table in again.items()
    }


@pytest.mark.parametrize("seed", range(2))
def test_what_is_not_drawn_does_not_depend_on_the_order_of_rows(stage, files, seed):
    config, tables = asked(stage, files)
    if stage.draws:
        other = applied(stage, config.model_copy(update={"seed": 1}), tables).tables["train"]
        assert said(other) != said(applied(stage, config, tables).tables["train"])
        return
    order = np.random.default_rng(seed).permutation(len(TRAIN))
    shuffled = {**tables, "train": tables["train"].select(order)}
    before, after = applied(stage, config, tables), applied(stage, config, shuffled)
    assert said(after.tables["train"]) == said(before.tables["train"])
    assert after.counts == before.counts


def test_each_row_that_is_chosen_is_counted_said_and_named(stage, files):
    config, tables = asked(stage, files)
    staged = applied(stage, config, tables)
    train = staged.tables["train"]
    gone = set(tables["train"].column("where")) - set(train.column("where"))
    for split, table in staged.tables.items():
        gone -= set(table.column("where")) if split != "train" else set()
    if stage.name == "shots":  # the one draw whose rows a run names
        assert staged.counts["shots"]["rows"] == train.column("where") and "3 of each of 2 labels" in staged.remarks[0]
        return
    if stage.draws:
        assert staged.record() is None and staged.remarks == ()
        return
    if stage.name == CHANGES:
        (change,) = staged.changes
        assert (change.where, change.what) == (str(files / "train.jsonl:1"), "a -> b") and not gone
        return
    if stage.name == ADDS:
        assert staged.counts[stage.name]["added"] == 1 and "1 rows with the words of another group" in staged.remarks[0]
        return
    assert {change.where for change in staged.changes} == gone
    assert staged.counts[stage.name]["rows"] == len(gone)
    (remark,) = staged.remarks
    assert f"data.clean.{stage.name}: {len(gone)} of {len(TRAIN)} rows of train" in remark


def test_what_is_cleaned_can_be_kept_or_refused_too(stage, files):
    if stage.draws or stage.name in (CHANGES, ADDS):
        return
    _, tables = asked(stage, files)
    kept = applied(stage, config_of(files, clean={stage.name: "keep"}), tables)
    assert kept.tables["train"].fingerprint() == tables["train"].fingerprint()
    assert kept.counts[stage.name]["rows"] > 0 and "they stay" in kept.remarks[0]
    with pytest.raises(UserError, match=rf"data.clean.{stage.name}: \d+ of 29 rows .*train.jsonl:\d+.*instead of fail"):
        applied(stage, config_of(files, clean={stage.name: "fail"}), tables)


def texts_without(stage_name, files) -> list[tuple[str, str]]:
    stage = next(stage for stage in STAGES if stage.name == stage_name)
    config, tables = asked(stage, files)
    return sorted((said(tables["train"]) - said(applied(stage, config, tables).tables["train"])).elements())


def test_which_rows_go(files):
    assert texts_without("empty", files) == [("", "a"), (" \u3000", "b")]
    assert texts_without("leakage", files) == [
        ("", "a"), (" \u3000", "b"), ("In test.", "b"), ("in test", "a"), ("in validation", "b"),
    ]  # fmt: skip
    assert texts_without("duplicates", files) == [("open  it", "a"), ("é", "a"), ("２０１８", "a")]
    assert texts_without("conflicts", files) == [
        ("", "a"), (" \u3000", "b"), ("In test.", "b"), ("OPEN IT?", "b"), ("in test", "a"),
        ("level", "a"), ("level", "b"),
    ]  # fmt: skip
    assert texts_without("near_duplicates", files) == [("The bank has not sent my new cards yet", "b")]
    assert texts_without("languages", files) == [("Das ist ein ganz normaler deutscher Satz über Banken", "a")]
    assert texts_without("normalise", files) == [("a\x07b", "a"), ("cafÃ© au lait", "a")]
    assert texts_without("redact", files) == [("write to ann@example.org", "b")]


def test_texts_are_changed_where_the_config_says_so(files):
    plain = config_of(files)
    tables = dict(stage_splits(plain, create_task(plain)).tables)
    for name, action, before, after, what in (
        ("normalise", "fix", "cafÃ© au lait", "café au lait", "repaired"),
        ("redact", "mask", "write to ann@example.org", "write to [EMAIL]", "1 emails"),
    ):
        stage = next(stage for stage in STAGES if stage.name == name)
        staged = applied(stage, config_of(files, clean={name: action}), tables)
        assert len(staged.tables["train"]) == len(TRAIN)
        row = TRAIN.index(next(each for each in TRAIN if each[0] == before))
        assert staged.tables["train"].column("text")[row] == after
        change = next(change for change in staged.changes if change.where.endswith(f":{row + 1}"))
        assert change.what == what and "ann@" not in json.dumps(staged.record())
