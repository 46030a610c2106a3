"""Where a saved model has what its task learnt from data; without TensorFlow."""

from __future__ import annotations

from pathlib import Path

FACTS = "kerasft_task.json"
HEAD_FILE = "head.weights.npz"  # what a task put on the backbone, by path
_BEFORE = "task.json"  # of older runs; KerasHub has a file of its own by this name, and can't read ours


def facts_file(folder: Path) -> Path:
    """The file in a run's `model/`, which need not be there."""
    old = folder / _BEFORE
    return old if old.is_file() and not (folder / FACTS).is_file() else folder / FACTS
