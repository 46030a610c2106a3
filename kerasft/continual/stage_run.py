"""One stage as a run: trained by its method, measured on the tests of all stages so far, and exported if it may be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasft.config.load import read_config
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal, quiet_tensorflow
from kerasft.continual.lineage import parent_of
from kerasft.continual.methods.base import Method, Situation
from kerasft.continual.methods.registry import METHODS, method_of
from kerasft.data.tables.table import Table
from kerasft.errors import Interrupted
from kerasft.runs import Run
from kerasft.session import Existing, Outcome, train_run
from kerasft.tasks.registry import create_task


@dataclass(frozen=True)
class StageJob:
    """What is to be learnt in a stage, and what it is measured by.

    Attributes:
        config: of the stage's run.
        labels: of the model after the stage, those of before first; empty for a task without labels.
        tables: train: the rows that are new; validation and perhaps test: those of all stages so far.
        stages: the name of each stage so far, this one last.
        groups: (rows,) the index in `stages` that each row of the measured split belongs to.
        matrix: the scores after each of the stages before, see `kerasft.continual.figures`.
        parent: the run that it goes on from.
        parent_train, other: see `Situation`.
        sections: further figures of `continual` in metrics.json, such as those of baselines.
        own: digests of the splits that the config names, where the run is measured on others, too.
        gate: what the tests of a stage before may lose at most for an export; None: anything.
        kind: the class of the method; None: the config names it.
        root: the last stage of a sequence, which is one stage to a run that goes on from it.
        untouched: score and test rows of each stage before whose model is another one, which this stage leaves alone;
            `groups` then has rows of this stage only.
        types: of entities, those that the rows of each stage were labelled for: only these can be right or wrong there;
            empty for other tasks.
    """

    config: Config
    labels: Sequence[str]
    tables: Mapping[str, Table]
    stages: Sequence[str]
    groups: np.ndarray
    matrix: Sequence[Sequence[float | None]] = ()
    parent: Run | None = None
    parent_train: Table | None = None
    other: Run | None = None
    sections: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    gate: float | None = None
    kind: type[Method[Any]] | None = None
    root: bool = False
    untouched: Sequence[tuple[float, int]] = ()
    types: Sequence[Collection[str]] = ()

    @property
    def measured_split(self) -> str:
        """The split whose rows `groups` are of."""
        return "test" if "test" in self.tables else "validation"


def changed(config: Config, changes: Mapping[str, Any]) -> Config:
    """A config with other values of some dotted keys. Raises UserError where it is no valid one then."""
    values = config.model_dump(mode="python")
    for path, value in changes.items():
        section = values
        *sections, key = path.split(".")
        for name in sections:
            section = section[name]
        section[key] = value
    return read_config(values)


def run_stage(job: StageJob, existing: Existing, terminal: Terminal) -> Outcome:
    """Trains, measures and exports a stage.

    Raises:
        UserError: the method can't go on from the parent, or a mistake as in `train_run`.
    """
    changes: dict[str, Any] = {"task.labels": list(job.labels)} if job.labels else {}
    parent = job.parent
    section = job.config.continual
    assert section is not None  # a stage has a method
    if parent is not None and METHODS[section.method].goes_on:
        changes |= {"model.preset": f"run:{parent.folder}", "model.architecture": None}
    config = changed(job.config, changes)
    task, train = create_task(config), job.tables["train"]
    before_other = parent_of(job.other) if job.other is not None else None
    situation = Situation(config, task, job.labels, parent, train, job.parent_train, job.other, before_other)
    method = job.kind(section, situation) if job.kind else method_of(situation)
    config = changed(config, method.changes())
    tables = {**job.tables, "train": method.train()}

    quiet_tensorflow(terminal.verbose)
    from kerasft.continual.record import Record  # TensorFlow is loaded by it

    try:
        return train_run(
            config,
            tables=tables,
            start=method.start(),
            actions=(Record(job, method, terminal),),
            objective=method.objective(),
            existing=existing,
            terminal=terminal,
        )
    except Interrupted as error:
        word = str(error).split(";")[0]
        raise type(error)(f"{word}; to go on, give the same command with --resume") from None
