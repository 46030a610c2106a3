"""A run of another task that shares the frozen base of the runs before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasft.config.schema import Config
from kerasft.continual.lineage import lineage_of
from kerasft.continual.stage_run import StageJob
from kerasft.data.tables.digests import fingerprints
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.runs import Run
from kerasft.tasks.registry import create_task

METHOD = "adapters"


def is_of_adapters(run: Run) -> bool:
    """Whether a run shares its base with runs of other tasks before it."""
    return lineage_of(run).get("method", {}).get("method") == METHOD


def check_base(parent: Run, config: Config) -> None:
    """Raises UserError where a run and the one before it do not stand on one frozen base."""
    before = parent.config.model
    if before.peft is None:
        raise UserError(
            f"continual.method: adapters, and {parent.folder} has changed its base itself: it was trained without "
            "model.peft; train it with an adapter, or name another method"
        )
    if config.model.preset != before.preset:
        raise UserError(
            f"model.preset: {config.model.preset}, and the adapter of {parent.folder} is for {before.preset}: tasks "
            "share one base; name the same preset"
        )


def task_job(parent: Run, config: Config, new: Mapping[str, Table], gate: float | None) -> StageJob:
    """The stage of a task of its own. The scores of the tasks before are those that were measured: nothing moves them.

    Args:
        parent: the run of the task before.
        config: of the new task.
        new: its splits.
        gate: see `StageJob`.
    """
    section: Mapping[str, Any] = parent.load_json("metrics.json").get("continual") or {}
    if is_of_adapters(parent):
        matrix = [list(row) for row in section["matrix"]]
        stages = [(stage["stage"], stage["test_rows"]) for stage in section["stages"]]
    else:
        metrics = parent.load_json("metrics.json")
        split = "test" if "test" in metrics else "validation"
        matrix = [[float(metrics[split][create_task(parent.config).headline])]]
        stages = [(parent.config.name, int(metrics[split].get("rows", 1)))]
    split = "test" if "test" in new else "validation"
    return StageJob(
        config=config,
        labels=(),
        tables=new,
        stages=[*(name for name, _ in stages), config.name],
        groups=np.full(len(new[split]), len(stages)),
        matrix=matrix,
        parent=parent,
        own=fingerprints(new),
        gate=gate,
        untouched=[(score, rows) for score, (_, rows) in zip(matrix[-1], stages)],
    )
