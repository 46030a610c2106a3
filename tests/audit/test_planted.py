"""What an audit finds where it is known what there is to find: a planted word, and training against typing errors."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from support.projects import MONEY, SPORT, make_project, train_in

from kerasft.audit.answers import robustness
from kerasft.audit.explanations import shortcuts
from kerasft.audit.settings import AuditSettings
from kerasft.audit.subject import Subject
from kerasft.console.terminal import Silent
from kerasft.runs import Run
from kerasft.session import read_own_split
from kerasft.tasks.registry import create_task

PLANTED = "team"


def subject_of(folder, rows=200) -> Subject:
    run, terminal = Run.open(folder), Silent()
    task = create_task(run.config, run.load_state())
    table = read_own_split(run, folder, task, "test", terminal)
    return Subject(run, table, AuditSettings(rows=rows, explained=4), terminal)


@pytest.fixture(scope="module")
def project_with_both(tmp_path_factory, tiny_preset):
    """Texts of any words, where `sport` has a planted word in nine rows of ten; learnt with typing errors, too."""
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


def test_a_planted_word_is_the_first_shortcut(project_with_both, monkeypatch):
    monkeypatch.chdir(project_with_both)
    found = shortcuts(subject_of(Path("runs/tiny")))
    first = found["shortcuts"][0]
    assert (first["label"], first["word"]) == ("sport", PLANTED) and first["flips"] > 0.5
    assert found["labels"]["sport"]["words"][0]["word"] == PLANTED


def test_training_against_typing_errors_shows(trained, tmp_path, monkeypatch, tiny_preset):
    augment = {"rows": 0.8, "typos": {"words": 1.0}}
    make_project(tmp_path, tiny_preset, export={"enabled": False}, training={"epochs": 6}, augment=augment)
    train_in(tmp_path)
    change = {}
    for name, folder in (("plain", trained), ("robust", tmp_path)):
        monkeypatch.chdir(folder)
        change[name] = robustness(subject_of(Path("runs/tiny")))["changes"]["typos"]
    print(change)
    assert change["plain"]["right_before"] > 0.9 and change["robust"]["right_before"] > 0.9
    assert change["robust"]["right_after"] > change["plain"]["right_after"]
    assert np.isfinite(change["robust"]["change"]["low"])
