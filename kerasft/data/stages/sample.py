"""`data.limit`: a seeded sample of the training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kerasft.config.schema import Config
from kerasft.data.stages.base import Stage, Staged, Tables

if TYPE_CHECKING:
    from kerasft.tasks.base import Task


class Sample(Stage):
    """So many rows of train, in their order."""

    name = "sample"
    draws = True

    def applies(self, config: Config) -> bool:
        return config.data.limit is not None

    def apply(self, tables: Tables, config: Config, task: Task) -> Staged:
        train, limit = tables["train"], config.data.limit
        if limit is None or limit >= len(train):
            return Staged(tables)
        rows = np.random.default_rng(config.seed).permutation(len(train))[:limit]
        return Staged({**tables, "train": train.select(np.sort(rows))})
