"""`kerasft continue --watch`, killed again and again: no file is lost or learnt twice, and the bits are the same."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from kerasft import train

ROOT = Path(__file__).parents[2]
KILLS = 8
TOPICS = {"sport": "goal match", "money": "stock bank", "coach": "team score", "price": "price trade"}


def write(file: Path, labels: list[str], rows: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    names = [labels[row % len(labels)] for row in range(rows)]
    lines = [{"text": " ".join(draw.choice([*TOPICS[name].split(), "a"], 6)), "label": name} for name in names]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def project(folder: Path, preset: Path) -> None:
    """A run of two labels, and a folder with three files: a new label, more of the old ones, another new label."""
    write(folder / "first.jsonl", ["sport", "money"], 60, 0)
    (folder / "inbox").mkdir()
    for seed, labels in enumerate((["coach"], ["sport", "money"], ["price"]), 1):
        write(folder / "inbox" / f"{seed}.jsonl", labels, 40, seed)
    config = {
        "name": "plain", "task": {"name": "text_classification", "pooling": "mean"},
        "model": {"preset": str(preset), "max_length": 12},
        "data": {"train": "first.jsonl", "validation": 0.2, "test": 0.2,
                 "columns": {"text": "text", "label": "label"}},
        "training": {"steps": 24, "batch_size": 8, "checkpoint": {"every_steps": 2}},
    }  # fmt: skip
    (folder / "plain.yaml").write_text(yaml.safe_dump(config))
    assert train.main([str(folder / "plain.yaml")]) == 0


def watch(folder: Path, seconds: float | None = None) -> int:
    """Exit code of the program; it is killed after so many seconds."""
    command = [sys.executable, "-m", "kerasft", "continue", "runs/plain", "--watch", "inbox", "--once"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "log.txt").open("a") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


def learnt(folder: Path) -> tuple[list[tuple[str, str, bool]], dict[str, str]]:
    """What the ledger says of each file, and the digest of each run's weights."""
    ledger = json.loads((folder / "inbox" / ".kerasft.json").read_text())
    metrics = {run.parent.name: json.loads(run.read_text()) for run in folder.glob("runs/*/metrics.json")}
    digests = {name: found["training"]["sha256"] for name, found in metrics.items()}
    return [(entry["file"], entry["run"], entry["passed"]) for entry in ledger["done"]], digests


@pytest.mark.long
def test_a_watch_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path, tiny_preset, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    monkeypatch.chdir(whole)
    project(whole, tiny_preset)
    shutil.copytree(whole, killed)
    begun = time.monotonic()
    assert watch(whole) == 0, (whole / "log.txt").read_text()[-3000:]
    assert "tensorflow/core" not in (whole / "log.txt").read_text(), "TensorFlow talks to itself"
    took = time.monotonic() - begun
    moments, codes = random.Random(0), []
    while len(codes) < KILLS:
        codes.append(watch(killed, moments.uniform(0.1, 0.35) * took))
    assert codes.count(-signal.SIGKILL) >= KILLS // 2, f"too few kills came before its end: {codes}"
    assert watch(killed) == 0, (killed / "log.txt").read_text()[-3000:]
    assert learnt(killed) == learnt(whole)
    assert [file for file, _, _ in learnt(killed)[0]] == ["1.jsonl", "2.jsonl", "3.jsonl"]
    exports = whole / "saved_models" / "plain", killed / "saved_models" / "plain"
    versions = [sorted(each.name for each in folder.iterdir() if each.name.isdigit()) for folder in exports]
    assert versions[0] == versions[1] == ["1", "2", "3", "4"]
