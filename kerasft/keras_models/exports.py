"""A model in memory -> the SavedModel that the command line writes."""

from __future__ import annotations

import copy
import re
from pathlib import Path

from kerasft.assembly import Assembled
from kerasft.errors import UserError
from kerasft.keras_models.saved_file import float32_twin
from kerasft.serving.exporter import export
from kerasft.tasks.base import Task

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", re.ASCII)


def export_model(assembled: Assembled, task: Task, directory: Path, dtype: str) -> Path:
    """Writes `directory`/VERSION; its last folder is the model's name, by which it is served.

    Raises:
        UserError: that is no name, or the folder can't be written.
        ServableError: the check failed.
    """
    name = directory.resolve().name
    if not _NAME.fullmatch(name):
        raise UserError(f"export: {name!r} can't be a model's name; use letters and digits, and behind them . _ -")
    if dtype != "float32":
        task, assembled = float32_twin(assembled, task)
    named = copy.copy(task)  # a model that goes on training keeps its own
    named.config = task.config.model_copy(update={"name": name})
    metadata = {"config": named.config.model_dump(), "state": named.state}
    return export(named, assembled.preprocessor, assembled.model, directory, metadata)
