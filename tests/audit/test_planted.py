"""What an audit finds where it is known what there is to find: a planted word."""

import json
import random
from pathlib import Path

import pytest
from support.projects import MONEY, SPORT, make_project, train_in

from kerasft.audit.explanations import shortcuts
from kerasft.audit.settings import AuditSettings
from kerasft.audit.subject import Subject
from kerasft.console.terminal import Silent
from kerasft.measure import read_own_split
from kerasft.runs import Run
from kerasft.tasks.registry import create_task

PLANTED = "team"


def subject_of(folder, rows=200) -> Subject:
    run, terminal = Run.open(folder), Silent()
    task = create_task(run.config, run.load_state())
    table = read_own_split(run, folder, task, "test", terminal)
    return Subject(run, table, AuditSettings(rows=rows, explained=4), terminal)


@pytest.fixture(scope="module")
def planted(tmp_path_factory, tiny_preset):
    """Texts of any words, where `sport` has a planted word in nine rows of ten."""
    folder = tmp_path_factory.mktemp("planted")
    config = make_project(folder, tiny_preset, export={"enabled": False}, training={"epochs": 4})
    draw = random.Random(0)
    others = [word for word in SPORT + MONEY if word != PLANTED]
    for split, count in (("train", 160), ("test", 60)):
        rows = []
        for number in range(count):
            words, sport = draw.choices(others, k=draw.randint(3, 6)), number % 2 == 0
            if sport and draw.random() < 0.9:
                words.insert(draw.randrange(len(words)), PLANTED)
            rows.append({"text": " ".join(words), "label": "sport" if sport else "money"})
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert config.is_file()
    train_in(folder)
    return folder


def test_a_planted_word_is_the_first_shortcut(planted, monkeypatch):
    monkeypatch.chdir(planted)
    found = shortcuts(subject_of(Path("runs/tiny")))
    first = found["shortcuts"][0]
    assert (first["label"], first["word"]) == ("sport", PLANTED) and first["flips"] > 0.5
    assert found["labels"]["sport"]["words"][0]["word"] == PLANTED
