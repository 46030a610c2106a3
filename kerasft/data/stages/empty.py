"""`data.clean.empty`: rows with a text of nothing but white space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.data.stages.base import Tables
from kerasft.data.stages.cleaning import Cleaning, RowReasons

if TYPE_CHECKING:
    from kerasft.tasks.base import Task


class Empty(Cleaning):
    """Rows of which a text, of what is asked or of what is to be written, is empty."""

    name = "empty"
    what = "have an empty text"

    def find(self, tables: Tables, config: Config, task: Task) -> RowReasons:
        names = [name for name in task.texts if name not in task.may_be_empty]
        rows = (texts for batch in tables["train"].batches(4096, names) for texts in zip(*batch.values()))
        return {row: None for row, texts in enumerate(rows) if not all(text.strip() for text in texts)}
