"""Texts without labels, read as rows of a task and put behind those of train."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.task_rows import TASKS

from kerasft.assembly import assemble
from kerasft.console.terminal import Terminal
from kerasft.data.prepared.beside import beside_batch
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task
from kerasft.training.unlabelled import LABELLED, joined, unlabelled_table, with_unlabelled

TEACHABLE = ("a label", "a label of a pair", "several labels", "a number", "tags")


def opened(config):
    task = create_task(config)
    tables = load_splits(config, task)
    task.fit(tables)
    return task, tables


def write(rows, file="more.jsonl") -> str:
    Path(file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize("name", TEACHABLE)
def test_they_stand_behind_the_labelled_rows_and_are_told_apart(settings, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    config = settings(*TASKS[name])
    task, tables = opened(config)
    texts = ["goal in the bank", "a coach of a market and a team score"]
    rows = [{"text": text, "pair": "the team", "tokens": text.split()} for text in texts]
    more = unlabelled_table("key", write(rows), config, task, tables, Terminal())
    assert more.column("text") == texts
    assert more.column("where") == ["more.jsonl:1", "more.jsonl:2"]
    built = assemble(config, task, train=tables["train"], preset=config.model.preset)
    train = task.prepare(tables["train"], built.preprocessor, weighted=True)
    both = with_unlabelled(task.prepare(joined(tables["train"], more), built.preprocessor, weighted=True), train)
    assert len(both) > len(train) and (both.weights[: len(train)] == train.weights).all()
    rows = np.arange(len(both))
    features, targets, _ = both.batch(rows)
    told = beside_batch(both, rows, targets)["beside/" + LABELLED]
    told = told if told.ndim == 1 else told.max(1)
    assert told.tolist() == [1.0] * len(train) + [0.0] * (len(both) - len(train))


def test_texts_of_a_split_and_copies_are_left_out(settings, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = settings(*TASKS["a label"])
    task, tables = opened(config)
    known = tables["train"].column("text")[0]
    source = write([{"text": text} for text in (known, "one more", "one more")])
    assert unlabelled_table("key", source, config, task, tables, Terminal()).column("text") == ["one more"]
    assert "key: 1 of 3 texts" in capsys.readouterr().err
    with pytest.raises(UserError, match="key: more.jsonl has no text beside the splits"):
        unlabelled_table("key", write([{"text": known}]), config, task, tables, Terminal())


@pytest.mark.parametrize("name", ["a relation", "answers", "scored pairs", "hidden tokens"])
def test_a_task_whose_rows_are_nothing_without_a_target_says_so(settings, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    config = settings(*TASKS[name])
    task, tables = opened(config)
    with pytest.raises(UserError, match="texts without labels: not for task"):
        unlabelled_table("key", write([{"text": "a", "pair": "b", "marked": "c"}]), config, task, tables, Terminal())
