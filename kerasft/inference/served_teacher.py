"""A model on a server that teaches another: `training.objective.teacher: http://HOST:8501/v1/models/NAME`."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.config.distillation import DistillationConfig
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.sources.sources import Record
from kerasft.errors import StorageError, UserError
from kerasft.inference.remote import BATCH, Remote, read_token
from kerasft.paths import is_address

if TYPE_CHECKING:
    from kerasft.tasks.base import Task
    from kerasft.training.objectives.server_teacher import Ask

KEY = "training.objective.teacher"


def served_teacher(config: Config, task: Task, terminal: Terminal) -> Ask | None:
    """What asks the server that a config names as its teacher; None: it names none.

    The server is spoken to here, so that a wrong address is told before a model is loaded.

    Args:
        config: of the student.
        task: of it.
        terminal: shows how far the questions are.

    Raises:
        UserError: there is no such model, or it asks for a text that the task does not have.
        StorageError: the server cannot be reached.
    """
    section = config.training.objective
    if not isinstance(section, DistillationConfig) or not is_address(section.teacher):
        return None
    file, ca = section.token_file, section.ca
    token = None if file is None else read_token(Path(file), "training.objective.token_file")
    connect = functools.partial(Remote, section.teacher, token, None if ca is None else Path(ca))
    with _told(), connect() as remote:
        if missing := [name for name in remote.inputs if name not in task.inputs]:
            raise UserError(
                f"{section.teacher} asks for {missing[0]!r}, and {config.task.name} has {', '.join(task.inputs)}"
            )

    def ask(rows: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
        records = [Record(dict(row), f"text {number}") for number, row in enumerate(rows)]
        found = []
        with _told(), connect() as remote, terminal.progress("teacher", len(records), unit="texts") as line:
            for answer in remote.answers(records, BATCH):
                found.append(answer)
                line.update(len(found))
        return found

    return ask


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What a server refuses is the fault of the key that names it."""
    try:
        yield
    except (UserError, StorageError) as error:
        raise type(error)(f"{KEY}: {error}") from error
