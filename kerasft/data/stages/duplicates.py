"""`data.clean.duplicates`: rows that say again what another says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.data.quality.folding import row_keys
from kerasft.data.stages.base import Tables
from kerasft.data.stages.cleaning import Cleaning, RowReasons

if TYPE_CHECKING:
    from kerasft.tasks.base import Task


class Duplicates(Cleaning):
    """All but one of the rows of train with the same texts and the same answer.

    The one that stays comes first when they are sorted by all that they hold: the same one, whatever their order.
    """

    name = "duplicates"
    what = "are copies of others"

    def find(self, tables: Tables, config: Config, task: Task) -> RowReasons:
        train, wheres = tables["train"], tables["train"].column("where")
        keys = row_keys(train, task.source_texts)
        answers = task.row_answers(train) or [None] * len(train)
        groups: dict[tuple, list[int]] = {}
        for row, key in enumerate(zip(keys, answers)):
            groups.setdefault(key, []).append(row)
        copies = {}
        for rows in groups.values():
            if len(rows) > 1:
                texts = [repr({**row, "where": None}) for row in train.rows(rows)]
                stays = rows[min(range(len(rows)), key=texts.__getitem__)]
                copies |= {row: wheres[stays] for row in rows if row != stays}
        return dict(sorted(copies.items()))
