"""The part of a task that a teacher behind a server asks for: what it is asked, and logits that give its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from kerasft.data.tables.table import Table

Answer = Mapping[str, Any]
AT_ONCE = 1024  # rows that are read of a table


class Taught:
    """By default a row is asked once, by the task's inputs, and its answers have no logits."""

    inputs: tuple[str, ...]

    def questions(self, table: Table) -> Iterator[dict[str, str]]:
        """What a model of this task on a server is asked about each row, in order: {input: text}."""
        for columns in table.batches(AT_ONCE, list(self.inputs)):
            yield from (dict(zip(columns, values)) for values in zip(*columns.values()))

    def logits_of(self, answers: Sequence[Answer]) -> np.ndarray:
        """Answers to `questions`, as a server gives them -> (rows, ...) float32 logits that `decode` answers so.

        For the tasks of `kerasft.config.distillation.SERVED`.

        Raises:
            UserError: they are of another task, or of other labels.
        """
        raise NotImplementedError(f"{type(self).__name__}: a server's answers have no logits")
