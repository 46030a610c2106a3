"""`data.clean.leakage`: rows of train that a model is measured on, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasft.config.schema import Config
from kerasft.data.quality.folding import row_keys
from kerasft.data.stages.base import Tables
from kerasft.data.stages.cleaning import Cleaning, RowReasons

if TYPE_CHECKING:
    from kerasft.tasks.base import Task


class Leakage(Cleaning):
    """Rows of train whose texts stand in validation or test, whatever their answers."""

    name = "leakage"
    what = "stand in validation or test, too"

    def find(self, tables: Tables, config: Config, task: Task) -> RowReasons:
        measured: dict[bytes, str] = {}
        for split in ("test", "validation"):
            if split in tables:
                for key, where in zip(row_keys(tables[split], task.source_texts), tables[split].column("where")):
                    measured.setdefault(key, where)
        keys = row_keys(tables["train"], task.source_texts)
        return {row: measured[key] for row, key in enumerate(keys) if key in measured}
