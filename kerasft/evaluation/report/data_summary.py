"""What a reader of a report should know of the data: sizes, lengths, balance, repeated texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.data.prepared.prepared import Prepared
from kerasft.data.quality.overlap import Overlap, overlap, text_keys
from kerasft.data.tables.table import Table

if TYPE_CHECKING:  # tasks lie above: the contract is all that is known here
    from kerasft.tasks.base import Task

BINS = 30


def data_summary(task: Task, tables: Mapping[str, Table], prepared: Mapping[str, Prepared]) -> dict[str, Any]:
    """The `data_summary` of `kerasft.evaluation.report.blocks.Report`.

    Args:
        task: names the text columns and counts the classes.
        tables: the splits' rows.
        prepared: the same splits, tokenized.
    """
    train = tables["train"]
    test = overlap(task, tables["test"], train) if "test" in tables else Overlap(0, 0)
    return {
        "limits": task.limits,
        "shared_train_test": test.shared,
        "shared_train_test_other_answer": test.other_answer,
        "duplicates_train": len(train) - len(set(text_keys(task, train))),
        "splits": {split: _split(task, table, prepared[split]) for split, table in tables.items()},
    }


def _split(task: Task, table: Table, prepared: Prepared) -> dict[str, Any]:
    return {
        "rows": len(table),
        "sides": {name: _lengths(side) for name, side in zip(task.limits, prepared.sides, strict=True)},
        "classes": task.class_counts(prepared),
        "unreachable": task.unreachable(prepared),
    }


def _lengths(side: Prepared) -> dict[str, Any]:
    lengths = side.full_lengths
    counts, edges = np.histogram(lengths, bins=min(BINS, max(1, int(lengths.max() - lengths.min()))))
    return {
        "lengths": {
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "p95": float(np.quantile(lengths, 0.95)),
            "max": int(lengths.max()),
        },
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        "truncated": side.truncated,
    }
