"""A run goes on: with new rows, new classes, and the tests of all that it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.console.terminal import Terminal
from kerasft.continual.child_config import child_config
from kerasft.continual.figures import losers
from kerasft.continual.joining import joined_config, joined_tables
from kerasft.continual.lineage import ancestors, is_sequence, lineage_of
from kerasft.continual.memory.tables import joined
from kerasft.continual.methods.entity_stage import types_in
from kerasft.continual.methods.registry import UNLEARNING, check_method
from kerasft.continual.new_tasks import METHOD, is_of_adapters, task_job
from kerasft.continual.stage_run import StageJob, changed, run_stage
from kerasft.continual.stages import plan_stages
from kerasft.data.splits import read_split, stage_splits
from kerasft.data.tables.digests import fingerprints
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.runs import Run
from kerasft.session import Existing, Outcome
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task


@dataclass(frozen=True)
class Continuation:
    """What a run is to go on with.

    Attributes:
        parent: a run.
        source: a YAML file, or a source of new rows as `data.train` names one.
        overrides: `key=value`.
        gate: what the tests of a stage before may lose at most for an export; None: anything.
        forget: the rows of `source` are forgotten instead of learnt.
        join: a run; what it learnt is added, and `source` is not read.
    """

    parent: Path
    source: str
    overrides: Sequence[str] = ()
    gate: float | None = None
    forget: bool = False
    join: Path | None = None


def continue_run(
    asked: Continuation, existing: Existing = "refuse", terminal: Terminal | None = None
) -> tuple[Outcome, bool]:
    """Trains a run further as a run of its own, which has the parent in its lineage.json.

    Returns:
        What the run came to, and whether it passed the gate.

    Raises:
        UserError: the parent can't go on, the data does not fit it, or a mistake as in `train_run`.
    """
    terminal = terminal or Terminal()
    job = plan_job(asked, existing, terminal)
    outcome = run_stage(job, existing, terminal)
    return outcome, passed(outcome.run, outcome.metrics, asked.gate)


def plan_job(asked: Continuation, existing: Existing, terminal: Terminal) -> StageJob:
    """The stage that a run goes on with; nothing is written. Raises UserError."""
    parent = open_parent(asked.parent)
    other = None if asked.join is None else open_parent(asked.join)
    if other is None:
        config = child_config(parent, asked.source, asked.overrides, again=existing != "refuse")
    else:
        config = joined_config(parent, other, asked.overrides, again=existing != "refuse")
    check_method(config)
    task = create_task(config)
    task.check_config()
    if not asked.forget and config.continual is not None and config.continual.method == METHOD:
        return task_job(parent, config, dict(stage_splits(config, task, terminal.line).tables), asked.gate)
    if asked.forget:
        new = {"train": read_split(config, task, asked.source, "train", terminal.line)}
        labels = list(parent.load_state()["labels"])
    elif other is not None:
        new = joined_tables(other, own_tables(other, terminal))
        labels = _grown_labels(parent, task, new["train"])
    else:
        new = dict(stage_splits(config, task, terminal.line).tables)
        labels = _grown_labels(parent, task, new["train"])
    tested = [run for run in _of_one_task(parent) if not lineage_of(run).get("forgets")]
    parts = [own_tables(run, terminal) for run in tested] + ([] if asked.forget else [new])
    splits = ["validation", *(["test"] if all("test" in part for part in parts) else [])]
    return StageJob(
        config=config,
        labels=labels,
        tables={"train": new["train"], **{split: joined([part[split] for part in parts]) for split in splits}},
        stages=[run.config.name for run in tested] + ([] if asked.forget else [config.name]),
        groups=np.repeat(np.arange(len(parts)), [len(part[splits[-1]]) for part in parts]),
        matrix=_matrix(parent, splits[-1])[: len(tested) - asked.forget],
        parent=parent,
        parent_train=learnt_rows(tested, terminal),
        other=other,
        own=fingerprints(new),
        gate=asked.gate,
        kind=UNLEARNING.get(config.continual.method) if asked.forget and config.continual else None,
        types=[types_in(joined([part["train"], part["validation"]])) for part in parts]
        if config.task.grows_types
        else (),
    )


def _of_one_task(parent: Run) -> list[Run]:
    """A run and those before it whose model it went on with, the first one first."""
    line = ancestors(parent)
    first = max((place for place, run in enumerate(line) if is_of_adapters(run)), default=0)
    return line[first:]


def _grown_labels(parent: Run, task: Task, train: Table) -> list[str]:
    """The labels after the stage; none for a task without labels. Raises UserError for vanished or renamed ones."""
    old = parent.load_state().get("labels")
    if old is None or not (task.config.task.grows or task.config.task.grows_types):
        return []
    return task.grown_labels(old, train, str(parent.folder))


def open_parent(folder: Path) -> Run:
    """The run that goes on. Raises UserError for what is none, such as an export."""
    exported = [*folder.glob("saved_model.pb"), *folder.glob("*/saved_model.pb")]
    if exported and not (folder / "config.yaml").is_file():
        raise UserError(
            f"{folder}: an export alone can't go on: it has neither the config nor what its method keeps; name the run "
            "that it was exported from, runs/NAME"
        )
    run = Run.open(folder)
    if not (folder / "metrics.json").is_file():
        raise UserError(f"{folder}: was not measured yet; finish it with --resume")
    if is_sequence(run) and not lineage_of(run).get("root"):
        raise UserError(
            f"{folder}: is a stage within a sequence; go on from the sequence's last run, which has its name"
        )
    return run


def own_tables(run: Run, terminal: Terminal) -> dict[str, Table]:
    """The splits that a run's config names, of which the held-out ones must be those that it began with.

    Raises:
        UserError: a file is gone, or held-out rows are others now.
    """
    tables, before = _read(run, terminal), run.own_data()
    now = fingerprints({split: table for split, table in tables.items() if split != "train"})
    if others := [split for split, digest in now.items() if before.get(split, digest) != digest]:
        raise UserError(
            f"data.{others[0]} of {run.folder}: these are not the rows that it held out; bring the data back as it "
            "was: what the run knows is measured on them"
        )
    return tables


def learnt_rows(line: Sequence[Run], terminal: Terminal) -> Table | None:
    """The rows that some runs learnt, where their configs still read them; None: some are gone, or others now."""
    tables = []
    for run in line:
        try:
            table = _read(run, terminal)["train"]
        except UserError:
            return None  # a method that needs them says so
        if table.fingerprint() != run.own_data().get("train"):
            return None
        tables.append(table)
    return joined(tables)


def _read(run: Run, terminal: Terminal) -> dict[str, Table]:
    """Every split that a run's config names; of a sequence, those of all stages."""
    if is_sequence(run):
        return dict(plan_stages(changed(run.config, {"task.labels": None}), terminal).tables)
    return dict(stage_splits(run.config, create_task(run.config), terminal.line).tables)


def _matrix(parent: Run, split: str) -> list[list[float]]:
    """The scores after each stage of before. A run that was trained at once, or as a sequence, is one stage.

    Raises:
        UserError: they are of test rows, and the new stage has none.
    """
    metrics = parent.load_json("metrics.json")
    section = metrics.get("continual")
    if section is not None and not is_sequence(parent) and not is_of_adapters(parent):
        if "test" in metrics and split != "test":
            raise UserError(
                f"data.test: is null, and the scores of {parent.folder} are of test rows; scores of validation rows "
                "can't be compared with them: set data.test, such as data.test=0.1"
            )
        return [list(row) for row in section["matrix"]]
    return [[float(metrics[split][create_task(parent.config).headline])]]


def passed(run: Run, metrics: Mapping[str, Any], gate: float | None) -> bool:
    """Whether in a run, with what its metrics.json holds, the tests of no stage before lost more than the gate lets."""
    task = create_task(run.config)
    return gate is None or not losers(metrics["continual"]["matrix"], gate, task.headline in task.falling)
