"""A model on a server as a teacher: it is asked about all rows, once before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from kerasft.data.prepared.prepared import Prepared
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.tasks.base import Task

Ask = Callable[[Iterable[Mapping[str, str]]], list[dict[str, Any]]]  # {input: text} -> what the server answers


class ServerTeacher:
    """Answers are all that it gives; `Task.logits_of` makes logits of them.

    Args:
        address: of the model, for errors.
        ask: asks the server.
        task: the student's.

    Attributes:
        table: the training rows; set before it is called.
        vectors: None: a server has none to give.
    """

    vectors: np.ndarray | None = None

    def __init__(self, address: str, ask: Ask, task: Task):
        self.address, self.ask, self.task = address, ask, task
        self.table: Table | None = None

    def __call__(self, train: Prepared) -> np.ndarray:
        """(rows, ...) logits. Raises UserError: the server has another task, other labels, or another order of them."""
        assert self.table is not None  # `Objective.read_rows` comes first
        self._logits(self.table.select([0]))  # a model of another task is found before it is asked about all rows
        return self._logits(self.table)

    def _logits(self, table: Table) -> np.ndarray:
        answers = self.ask(self.task.questions(table))
        try:
            return self.task.logits_of(answers)
        except UserError as error:
            raise UserError(f"training.objective.teacher: {self.address}: {error}") from error
