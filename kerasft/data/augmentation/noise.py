"""Rows with typing errors, to measure what a model makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.config.augment import TyposConfig
from kerasft.data.augmentation.typos import Typos
from kerasft.data.tables.table import Table

if TYPE_CHECKING:
    from kerasft.tasks.base import Task

SEED = 20_101  # the errors of a test are the same for every run that is measured on it
DEFAULTS = TyposConfig.defaults()


def with_typos(table: Table, task: Task, words: float) -> Table:
    """The rows with one typing error in a share of the words of four letters and more; exact in expectation.

    Spans of answers stay as they are, so that the truth is the same.

    Args:
        table: rows, which are left as they are.
        task: says which texts they have.
        words: the share.
    """
    typos = Typos(DEFAULTS.model_copy(update={"words": words}), least=0)

    def rows() -> Iterator[dict[str, Any]]:
        number = 0
        for batch in table.batches(1024):
            for values in zip(*batch.values()):
                row, random = dict(zip(batch, values)), np.random.default_rng([SEED, number])
                texts = {name: text.edited(typos.edits(text, random)) for name, text in task.marked_texts(row).items()}
                yield task.with_texts(row, texts)
                number += 1

    return Table.from_rows(rows(), table.schema)
