"""A model on a server as a teacher: it is asked about all rows, once before the first step."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.atomic import write_bytes_atomically
from kerasft.errors import UserError
from kerasft.training.objectives.teachers import KEY

if TYPE_CHECKING:  # a wrong address is told before TensorFlow loads
    from kerasft.data.prepared.prepared import Prepared
    from kerasft.data.tables.table import Table
    from kerasft.tasks.base import Task

FILE = "teacher.npz"  # in a run's folder: what the server said of its rows
CHUNK = 1024  # rows whose answers are in memory at a time
# {input: text} of each question, and how many there are -> what the server answers, in order.
Ask = Callable[[Iterable[Mapping[str, str]], int], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class Server:
    """A server that teaches.

    Attributes:
        address: of the model, for errors.
        ask: asks it.
        kept: the folder of a run that goes on, whose answers are read from there; None: a run that begins.
    """

    address: str
    ask: Ask
    kept: Path | None = None


class ServerTeacher:
    """Answers are all that it gives; `Task.logits_of` makes logits of them.

    A run keeps them, so that it goes on with the same ones, whatever the server would say by then.

    Args:
        server: which, and how it is asked.
        task: the student's.

    Attributes:
        table: the training rows; set before it is called.
        vectors: None: a server has none to give.
    """

    vectors: np.ndarray | None = None

    def __init__(self, server: Server, task: Task):
        self.server, self.task = server, task
        self.table: Table | None = None
        self._logits: np.ndarray | None = None

    def __call__(self, train: Prepared) -> np.ndarray:
        """(rows, ...) float32 logits.

        Raises:
            UserError: the server has another task, other labels, or another order of them.
        """
        assert self.table is not None  # `Objective.read_rows` comes first
        logits = self._read(self.table)
        if logits is None:
            # Of one row first: a model of another task is found before it has every text.
            self._asked(self.table.select([0]))
            logits = self._asked(self.table)
        self._logits = logits
        return logits

    def keep(self, folder: Path) -> None:
        """Writes the logits to the folder of the run."""
        if self._logits is not None and self.table is not None:
            buffer = io.BytesIO()
            np.savez(buffer, logits=self._logits, of=self._digest(self.table))
            write_bytes_atomically(folder / FILE, buffer.getvalue())

    def _read(self, table: Table) -> np.ndarray | None:
        """What the run that goes on has kept of these very rows; None: nothing."""
        file = None if self.server.kept is None else self.server.kept / FILE
        if file is None or not file.is_file():
            return None
        with np.load(file, allow_pickle=False) as kept:
            return kept["logits"] if str(kept["of"]) == self._digest(table) else None

    def _digest(self, table: Table) -> str:
        return hashlib.sha256(f"{self.server.address} {table.fingerprint()}".encode()).hexdigest()

    def _asked(self, table: Table) -> np.ndarray:
        each = sum(1 for _ in self.task.questions(table.select([0])))  # questions about a row
        answers = self.server.ask(self.task.questions(table), each * len(table))
        parts, count = [], 0
        while part := list(itertools.islice(answers, each * CHUNK)):
            count += len(part)
            if len(part) % each == 0:
                parts.append(self._logits_of(part))
        if count != each * len(table):
            raise UserError(f"{KEY}: {self.server.address}: it gave {count} answers to {each * len(table)} texts")
        return np.concatenate(parts)

    def _logits_of(self, answers: Sequence[Mapping[str, Any]]) -> np.ndarray:
        try:
            return self.task.logits_of(answers)
        except UserError as error:
            raise UserError(f"{KEY}: {self.server.address}: {error}") from error
