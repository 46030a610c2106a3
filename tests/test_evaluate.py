"""`kerasft evaluate RUN` measures on the rows that the run held out, or says why it can't; no model is needed."""

import json
from pathlib import Path

import pytest

from kerasft.config.schema import Config
from kerasft.console.terminal import Silent
from kerasft.data.splits import load_splits
from kerasft.errors import UserError
from kerasft.measure import read_own_split
from kerasft.runs import Run
from kerasft.tasks.registry import create_task

ROWS = [f"{word} {number},{label}" for number in range(20) for word, label in (("good", "pos"), ("bad", "neg"))]


class Told(Silent):
    def __init__(self):
        super().__init__()
        self.lines = []

    def line(self, text):
        self.lines.append(text)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A function that makes a run as training leaves it, but for the model, and its task."""
    monkeypatch.chdir(tmp_path)

    def make(**data):
        write("train.csv", ROWS)
        write("test.csv", ROWS[:6])
        config = Config.model_validate(
            {
                "name": "tiny",
                "task": {"name": "text_classification"},
                "model": {"preset": "x"},
                "data": {
                    "train": "train.csv",
                    "validation": 0.25,
                    "columns": {"text": "text", "label": "label"},
                    **data,
                },
            }
        )
        run, task = Run.plan(config), create_task(config)
        run.begin(load_splits(config, task))
        return run, task

    return make


def write(name, rows):
    Path(name).write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")


def test_the_rows_that_were_held_out_are_measured(trained):
    run, task = trained(test=0.25)
    terminal = Told()
    for split in ("validation", "test"):
        table = read_own_split(run, run.folder, task, split, terminal)
        assert table.fingerprint() == json.loads((run.folder / "data.json").read_text())[split]
    assert terminal.lines == []


@pytest.mark.parametrize(
    "change",
    [lambda: ROWS + ["more,pos", "more,neg"], lambda: ROWS[::-1], lambda: ROWS[:-2], lambda: [*ROWS[1:], "x,pos"]],
)
def test_a_share_of_changed_data_is_refused(trained, change):
    run, task = trained()
    write("train.csv", change())
    with pytest.raises(UserError) as raised:
        read_own_split(run, run.folder, task, "validation", Told())
    said = str(raised.value)
    assert said.startswith(
        "data.validation: these are not the rows that runs/tiny held out, and the model may have been"
    )
    assert "--data FILE" in said


def test_a_file_of_its_own_is_measured_while_it_is_as_it_was(trained):
    run, task = trained(test="test.csv")
    write("train.csv", ROWS + ["more,pos"])
    terminal = Told()
    assert len(read_own_split(run, run.folder, task, "test", terminal)) == 6
    assert terminal.lines == [
        "data.train, data.validation: changed since runs/tiny was trained; data.test is as it was"
    ]
    write("test.csv", ROWS[:8])
    with pytest.raises(
        UserError, match="data.test: these are not the rows that runs/tiny held out: the data has changed"
    ):
        read_own_split(run, run.folder, task, "test", terminal)


def test_a_file_that_joins_a_glob_changes_the_share(trained):
    run, task = trained(train="tr*.csv")
    write("transcripts.csv", ["more 1,pos", "more 2,neg"] * 3)
    with pytest.raises(UserError, match="data.validation: these are not the rows"):
        read_own_split(run, run.folder, task, "validation", Told())


def test_a_label_that_the_model_does_not_know_is_named(trained):
    run, task = trained()
    write("train.csv", ROWS + [f"meh {number},neutral" for number in range(20)])
    with pytest.raises(UserError) as raised:
        read_own_split(run, run.folder, task, "validation", Told())
    assert "train.csv:" in str(raised.value) and "the label 'neutral' does not occur" in str(raised.value)
    assert "data.validation: these are not the rows" in str(raised.value)
