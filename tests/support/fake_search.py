"""A search whose trials take no training: their curves are a function of what they try.

As a program, `python fake_search.py CONFIG TRIALS SECONDS`, it waits SECONDS at each validation, to be killed there.
"""

import hashlib
import sys
import time
from pathlib import Path

import yaml

from kerasft.config.schema import Config
from kerasft.console.terminal import Silent
from kerasft.search.command import run_search
from kerasft.search.job import COMPLETE, PRUNED, Ending, Job, Report

STEPS = (10, 20, 30, 60, 90)
RATE = "training.optimizer.learning_rate"
SPACE = {RATE: {"log": [1e-5, 1e-1]}, "training.optimizer.warmup": {"linear": [0.0, 0.5]}}


def accuracy(config: Config, step: int) -> float:
    """Best at a rate of 1e-3 and a warm-up of 0.2; it rises with the steps."""
    import math

    optimizer = config.training.optimizer
    miss = abs(math.log10(optimizer.learning_rate) + 3) / 2 + abs(optimizer.warmup - 0.2)
    return round(1 / (1 + miss) * step / (step + 5), 6)


class FakeRunner:
    """Runs jobs; `jobs` are the names of those that came to their end."""

    def __init__(self, pause: float = 0.0):
        self.pause, self.jobs, self.tests = pause, [], 0

    def run(self, job: Job, report: Report) -> Ending:
        if job.test:
            self.tests += 1
            return Ending(COMPLETE, {"metrics": {"accuracy": 0.5}})
        for step in STEPS:
            time.sleep(self.pause)
            if report(step, accuracy(job.config, step), STEPS[-1]):
                self.jobs.append(job.config.name)
                return Ending(PRUNED)
        (job.folder / "model").mkdir(parents=True, exist_ok=True)
        self.jobs.append(job.config.name)
        digest = hashlib.sha256(repr(job.config.training).encode()).hexdigest()
        figures = {"value": accuracy(job.config, STEPS[-1]), "steps": STEPS[-1], "sha256": digest, "size": 4}
        return Ending(COMPLETE, figures | {"data": {"train": "t", "validation": "v"}})

    def stop(self) -> None:
        pass


def write_config(folder: Path, preset: Path, **search) -> Path:
    rows = str(folder / "rows.jsonl")
    Path(rows).write_text('{"t": "one", "l": "a"}\n{"t": "two", "l": "b"}\n', encoding="utf-8")
    values = {
        "name": "fake",
        "task": {"name": "text_classification"},
        "model": {"preset": str(preset)},
        "data": {
            "train": rows,
            "validation": rows,
            "test": "x.jsonl",
            "columns": {"text": "t", "label": "l"},
        },
        "output": {"dir": str(folder / "runs")},
        "search": {"space": SPACE, "repeats": 2, **search},
    }
    file = folder / "fake.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return file


if __name__ == "__main__":
    path, trials, seconds = sys.argv[1:]
    run_search(path, trials=int(trials), resume=True, terminal=Silent(), runner=FakeRunner(float(seconds)))
