"""Texts that a converted model is compared with Keras on: those of the run's own test or validation split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasft.json_lines import read_json_lines
from kerasft.tasks.base import Task

TEXTS = 64  # of a comparison


def real_texts(run: Path, task: Task) -> dict[str, list[str]]:
    """{input: texts} of a run's predictions/, from all over the split; the task's sample where there are none."""
    for split in ("test", "validation"):
        file = run / "predictions" / f"{split}.jsonl"
        if file.is_file():
            rows = read_json_lines(file)
            if rows and all(isinstance(rows[0].get(name), str) for name in task.inputs):
                return _columns([rows[at] for at in _spread(len(rows))], task.inputs)
    return {name: [text] for name, text in task.sample().items()}


def _columns(rows: Sequence[dict], inputs: Sequence[str]) -> dict[str, list[str]]:
    return {name: [row[name] for row in rows] for name in inputs}


def _spread(count: int) -> list[int]:
    return np.unique(np.linspace(0, count - 1, min(TEXTS, count)).astype(int)).tolist()
