"""A model on a server that teaches another: `training.objective.teacher: http://HOST:8501/v1/models/NAME`."""

from __future__ import annotations

import contextlib
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
from kerasft.training.objectives.teachers import KEY

if TYPE_CHECKING:
    from kerasft.tasks.base import Task
    from kerasft.training.objectives.server_teacher import Server


def served_teacher(config: Config, task: Task, terminal: Terminal, kept: Path | None = None) -> Server | None:
    """The server that a config names as its teacher; None: it names none.

    It is spoken to here, so that a wrong address is told before a model is loaded.

    Args:
        config: of the student.
        task: of it.
        terminal: shows how far the questions are.
        kept: the folder of a run that goes on, where its answers are; None: the run begins.

    Raises:
        UserError: there is no such model, or it asks for other texts than the task has.
        StorageError: the server cannot be reached.
    """
    section = config.training.objective
    if not isinstance(section, DistillationConfig) or not is_address(section.teacher):
        return None
    from kerasft.training.objectives.server_teacher import FILE, Server

    def connect() -> Remote:
        file, ca = section.token_file, section.ca
        token = None if file is None else read_token(Path(file), "training.objective.token_file")
        with _told():
            return Remote(section.teacher, token, None if ca is None else Path(ca))

    if kept is None or not (kept / FILE).is_file():
        with connect() as remote, _told():
            if set(remote.inputs) != set(task.inputs):
                asks, has = ", ".join(remote.inputs), ", ".join(task.inputs)
                raise UserError(f"{section.teacher} asks for {asks}, and a row of {config.task.name} here has {has}")

    def ask(rows: Iterable[Mapping[str, str]], total: int) -> Iterator[dict[str, Any]]:
        records = (Record(dict(row), f"text {number}") for number, row in enumerate(rows))
        with connect() as remote, _told(), terminal.progress("teacher", total, unit="texts") as line:
            for number, answer in enumerate(remote.answers(records, BATCH), 1):
                line.update(number)
                yield answer

    return Server(section.teacher, ask, kept)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What a server refuses is the fault of the key that names it."""
    try:
        yield
    except (UserError, StorageError) as error:
        raise type(error)(f"{KEY}: {error}") from error
