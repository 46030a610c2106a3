"""A project as a user has it: rows of text with labels that the words give away, and a config."""

import contextlib
import functools
import io
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml
from support.shared import shared_folder

from kerasft import train

SPORT, MONEY = "goal match team score coach".split(), "bank market stock price trade".split()
SAID = "said.txt"


def write_rows(path: Path, rows: int, seed: int, problem: str = "single_label", pair: bool = False) -> list[dict]:
    random = np.random.default_rng(seed)
    written = []
    for _ in range(rows):
        sport = random.random() < 0.5
        text = " ".join(random.choice(SPORT if sport else MONEY, random.integers(1, 9)))
        label = {
            "single_label": "sport" if sport else "money",
            "multi_label": ["sport"] if sport else ["money", "dull"][: random.integers(1, 3)],
            "regression": 1.0 + 3.0 * sport,
        }[problem]
        written.append({"text": text, **({"other": "a match in the bank"} if pair else {}), "label": label})
    path.write_text("".join(json.dumps(row) + "\n" for row in written), encoding="utf-8")
    return written


def make_project(
    folder: Path, preset: Path, problem: str = "single_label", pair: bool = False, rows: int = 96, **sections
) -> Path:
    """Writes data and a config, whose sections `sections` change, to a folder; returns the config."""
    write_rows(folder / "train.jsonl", rows, 0, problem, pair)
    write_rows(folder / "test.jsonl", 33, 1, problem, pair)
    columns = {"text": "text", "label": "label"} | ({"text_pair": "other"} if pair else {})
    config = {
        "name": "tiny",
        "task": {"name": "text_classification", "problem": problem},
        "model": {"preset": str(preset), "max_length": 12},
        "data": {"train": "train.jsonl", "validation": 0.25, "test": "test.jsonl", "columns": columns},
        "training": {
            "epochs": 3,
            "batch_size": 8,
            "optimizer": {"learning_rate": 3e-2, "weight_decay": 0.0},
        },
    }
    for section, keys in sections.items():
        config[section] = {**config.get(section, {}), **keys}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def train_in(folder: Path, *arguments: str) -> str:
    """Trains config.yaml of a folder by one command, and returns what that said."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.chdir(folder)
        keras.utils.set_random_seed(0)
        assert train.main(["config.yaml", *arguments]) == 0
    return said.getvalue()


@pytest.fixture
def project(tmp_path, tiny_preset, monkeypatch):
    """A folder with data and a config, as the current folder; returns a function that changes the config."""
    monkeypatch.chdir(tmp_path)
    return functools.partial(make_project, tmp_path, tiny_preset)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, tiny_preset) -> Path:
    """A project that was trained, with the dropout of its preset, and exported; `SAID` in it is what that said."""

    def make(folder: Path) -> None:
        make_project(folder, tiny_preset, training={"checkpoint": {"keep": 3}})
        (folder / SAID).write_text(train_in(folder), encoding="utf-8")

    return shared_folder(tmp_path_factory, "trained", make)


@pytest.fixture
def trained_project(trained, tmp_path, monkeypatch) -> Path:
    """A copy of it, as the current folder."""
    copy = tmp_path / "project"
    shutil.copytree(trained, copy)
    monkeypatch.chdir(copy)
    return copy
