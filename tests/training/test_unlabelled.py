"""Texts without labels, read as rows of a task and put behind those of train."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.task_rows import TASKS

from kerasft.assembly import assemble
from kerasft.config.clean import CleanConfig
from kerasft.config.distillation import TEACHABLE as TAUGHT
from kerasft.config.objective import DistillationConfig
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.prepared.beside import beside_batch
from kerasft.data.splits import check_unlabelled, load_splits
from kerasft.data.tables.digests import UNLABELLED, changed_data
from kerasft.errors import UserError
from kerasft.tasks.base.data import TaskData
from kerasft.tasks.registry import TASKS as CLASSES
from kerasft.tasks.registry import create_task
from kerasft.training.objectives.distillation import LABELLED
from kerasft.training.unlabelled import joined, unlabelled_texts, with_unlabelled

TEACHABLE = ("a label", "a label of a pair", "several labels", "a number", "tags")
KEY = "training.objective.unlabelled"


@pytest.fixture
def opened(settings, tmp_path, monkeypatch):
    """Returns a function: a task -> its config, which names more.jsonl, the task, and its splits."""
    monkeypatch.chdir(tmp_path)

    def make(name: str):
        config = settings(*TASKS[name])
        objective = DistillationConfig(name="distillation", teacher="runs/teacher", unlabelled="more.jsonl")
        training = config.training.model_copy(update={"objective": objective})
        config = config.model_copy(update={"training": training})
        task = create_task(config)
        tables = load_splits(config, task)
        task.fit(tables)
        return config, task, tables

    return make


def write(*texts: str) -> None:
    rows = [{"text": text, "pair": "the team", "tokens": text.split()} for text in texts]
    Path("more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("name", TEACHABLE)
def test_they_stand_behind_the_labelled_rows_and_are_told_apart(opened, name):
    config, task, tables = opened(name)
    texts = ["goal in the bank", "a coach of a market and a team score"]
    write(*texts)
    more = unlabelled_texts(config, task, tables, Terminal())
    assert more.column("text") == texts
    assert more.column("where") == ["more.jsonl:1", "more.jsonl:2"]
    built = assemble(config, task, train=tables["train"], preset=config.model.preset)
    train = task.prepare(tables["train"], built.preprocessor, weighted=True)
    both = with_unlabelled(task.prepare(joined(tables["train"], more), built.preprocessor, weighted=True), train)
    assert len(both) > len(train) and (both.weights[: len(train)] == train.weights).all()
    # A text weighs 1; where tokens have targets, a window weighs as many as it has.
    rest = task.prepare(more, built.preprocessor, weighted=True).weights
    assert both.weights[len(train) :].tolist() == (rest.tolist() if both.token_targets else [1.0, 1.0])
    rows = np.arange(len(both))
    _, targets, _ = both.batch(rows)
    told = beside_batch(both, rows, targets)["beside/" + LABELLED]
    told = told if told.ndim == 1 else told.max(1)
    assert told.tolist() == [1.0] * len(train) + [0.0] * (len(both) - len(train))


def test_texts_of_a_split_and_copies_are_left_out(opened, capsys):
    config, task, tables = opened("a label")
    known = tables["train"].column("text")[0]
    write(known, "one more", "one more")
    assert unlabelled_texts(config, task, tables, Terminal()).column("text") == ["one more"]
    assert f"{KEY}: 1 of 3 texts" in capsys.readouterr().err
    write(known)
    with pytest.raises(UserError, match=f"{KEY}: more.jsonl has no text beside the splits"):
        unlabelled_texts(config, task, tables, Terminal())


def test_they_are_written_in_the_form_of_train(opened):
    config, task, tables = opened("a label")
    clean = CleanConfig(redact="mask")
    config = config.model_copy(update={"data": config.data.model_copy(update={"clean": clean})})
    write("write to ann@example.com", "write to bob@example.com", "the market")
    assert unlabelled_texts(config, task, tables, Terminal()).column("text") == ["write to [EMAIL]", "the market"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "more.jsonl"),
        ("", "more.jsonl: empty"),
        ('{"words": "the market"}\n', "more.jsonl:1"),
    ],
)
def test_a_file_that_can_not_be_read_is_seen_by_its_first_row(opened, content, message):
    config, task, _ = opened("a label")
    if content is not None:
        Path("more.jsonl").write_text(content)
    with pytest.raises(UserError, match=message):
        check_unlabelled(config, task)


def test_none_are_read_where_none_are_named(settings):
    config = settings(*TASKS["a label"])
    task = create_task(config)
    assert unlabelled_texts(config, task, {}, Terminal()) is None


@pytest.mark.parametrize(
    ("task", "more", "message"),
    [
        ("answers", {}, "is for text_classification and token_classification, not for question_answering"),
        ("a label", {"fit_head": True}, "a fitted head learns from labels; set training.fit_head to false"),
    ],
)
def test_what_they_do_not_go_with_is_said_with_the_key(settings, task, more, message):
    values = settings(*TASKS[task]).model_dump()
    objective = {"name": "distillation", "teacher": "runs/teacher", "unlabelled": "more.jsonl"}
    values["training"] |= {"objective": objective, **more}
    with pytest.raises(ValueError, match=f"{KEY}: {message}"):
        Config.model_validate(values)


def test_the_config_knows_which_tasks_have_rows_without_a_target():
    own = {name for name, task in CLASSES.items() if task.unlabelled is not TaskData.unlabelled}
    assert own == set(TAUGHT)


def test_another_file_is_noticed_and_a_run_of_before_has_none():
    assert changed_data({"train": "a", UNLABELLED: "b"}, {"train": "a", UNLABELLED: "c"}) == [UNLABELLED]
    assert changed_data({"train": "a"}, {"train": "a", UNLABELLED: "c"}) == []
    assert changed_data({"train": "a", UNLABELLED: "b"}, {"train": "a"}) == []
    assert changed_data({"train": "a"}, {"train": "b", "test": "c"}) == ["test", "train"]
