"""The rows of folds, and the run of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.data.tables.table import Table
from kerasft.runs import Run
from kerasft.tasks.base import Task

FOLDS = "folds"  # the folder of their runs


@dataclass(frozen=True)
class Folded:
    """Rows that are dealt out to folds.

    Attributes:
        task: has learnt its labels from all rows.
        table: all rows of train; those that a share would hold out are among them.
        validation: rows of a source of their own, where the config names one.
        fold_of: (rows,) the fold of each row of `table`, from 0.
        folds: how many there are.
        cleaning: the record of what stages did to the rows; None: nothing was asked of them.
    """

    task: Task
    table: Table
    validation: Table | None
    fold_of: np.ndarray
    folds: int
    cleaning: dict[str, Any] | None


@dataclass(frozen=True)
class Fold:
    """One run of several.

    Attributes:
        run: trained on the rows of the other folds.
        metrics: what its metrics.json holds; `test` are the rows of this fold.
        rows: their numbers in all of train.
        table: these rows.
    """

    run: Run
    metrics: dict[str, Any]
    rows: np.ndarray
    table: Table


@dataclass(frozen=True)
class FoldsOutcome:
    """What a training in folds came to: an Outcome of several runs, of which none is exported.

    Attributes:
        folder: that has cross_validation.json, the runs and the answers out of fold.
        runs: of the folds, in order.
        metrics: {"test": figures}: the mean of each over the folds, and beside it `NAME_deviation` and `NAME_by_fold`.
        summary: what cross_validation.json holds.
        model: None, as no model has learnt from all rows.
        export: None.
    """

    folder: Path
    runs: tuple[Run, ...]
    metrics: dict[str, Any]
    summary: dict[str, Any]
    model: None = None
    export: None = None
