"""The name of a task -> what is watched of its answers; a server asks, which needs nothing else of a task."""

from __future__ import annotations

import importlib.util

from kerasft.evaluation.answer_measures import Watched


def watched_of(task: str) -> Watched:
    """What `kind.py` in the task's folder says.

    Args:
        task: its name, as an export has it; of one that this version does not know only the texts are watched.
    """
    name = f"kerasft.tasks.{task}"
    if not task.isidentifier() or importlib.util.find_spec(name) is None:
        return Watched()
    return importlib.import_module(f"{name}.kind").WATCHED
