"""The name of a task -> what is watched of its answers; a server asks, which needs nothing else of a task."""

from __future__ import annotations

import importlib
from pathlib import Path

from kerasft.evaluation.answer_measures import Watched


def watched_of(task: str) -> Watched:
    """What `kind.py` in the task's folder says.

    Args:
        task: its name, as an export has it; of one that this version does not know only the texts are watched.
    """
    # An export may be anyone's: `base` and `generation` are folders here, and no tasks.
    folder = Path(__file__).parent / task
    if not task.isidentifier() or not all((folder / name).is_file() for name in ("task.py", "kind.py")):
        return Watched()
    return importlib.import_module(f"kerasft.tasks.{task}.kind").WATCHED
