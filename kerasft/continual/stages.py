"""The stages of a sequence: which rows and classes come when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.continual.memory.tables import joined
from kerasft.continual.stage_run import changed
from kerasft.data.splits import stage_splits
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.tasks.registry import create_task


@dataclass(frozen=True)
class StagePlan:
    """All rows of a sequence, and the stage of each.

    Attributes:
        tables: every split, whole.
        stage_of: split -> (rows,) the stage, from 0, that each row belongs to.
        labels: of the model after each stage; each begins with those of the one before.
    """

    tables: Mapping[str, Table]
    stage_of: Mapping[str, np.ndarray]
    labels: Sequence[Sequence[str]]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def measured_split(self) -> str:
        """The split that stages are compared by."""
        return "test" if "test" in self.tables else "validation"

    def rows(self, split: str, stages: range) -> Table:
        """The rows of some stages, in the order of the whole table."""
        return self.tables[split].select(np.flatnonzero(np.isin(self.stage_of[split], list(stages))))

    def groups(self, last: int) -> np.ndarray:
        """(rows,) the stage of each row of the measured split of all stages up to one."""
        of_rows = self.stage_of[self.measured_split]
        return of_rows[of_rows <= last]

    def check(self) -> StagePlan:
        """Raises UserError for a stage that nothing could be learnt or measured in."""
        for split in ("train", self.measured_split):
            counts = np.bincount(self.stage_of[split], minlength=len(self))
            if not counts.all():
                stage = int(np.flatnonzero(counts == 0)[0]) + 1
                raise UserError(
                    f"data.{split}: no row belongs to stage {stage}: its classes have none there; set data.{split} to "
                    "a share such as 0.1, or add rows"
                )
        return self


def plan_stages(config: Config, terminal: Terminal) -> StagePlan:
    """Reads the data of a config with `continual`, and says which rows belong to which stage.

    Raises:
        UserError: the section names stages, and less than two come of it, or a row can't be used.
    """
    section = config.continual
    assert section is not None
    if section.stages is None and section.classes is None:
        return _at_once(config, terminal).check()
    if not config.task.grows:
        raise UserError(
            "continual: a sequence of stages is for text_classification with one label for each text, without "
            "task.out_of_scope and task.separator; set continual: null, or see kerasft continue"
        )
    plan = _by_sources(config, terminal) if isinstance(section.stages, list) else _by_classes(config, terminal)
    return plan.check()


def _at_once(config: Config, terminal: Terminal) -> StagePlan:
    """One stage of all rows, which `kerasft continue` goes on from."""
    task = create_task(config)
    tables = stage_splits(config, task, terminal.line).tables
    task.fit(tables)
    labels = task.state["labels"] if config.task.grows or config.task.grows_types else []
    return StagePlan(tables, {split: np.zeros(len(table), int) for split, table in tables.items()}, [labels])


def _by_classes(config: Config, terminal: Terminal) -> StagePlan:
    task = create_task(config)
    tables = stage_splits(config, task, terminal.line).tables
    task.fit(tables)
    classes = np.unique(task.targets(tables["train"]))  # task.labels may name others
    parts = _parts(config, len(classes))
    assert config.continual is not None
    drawn = np.random.default_rng(config.continual.order).permutation(classes)
    stage_of_class = np.full(len(task.state["labels"]), len(parts) - 1)
    stage_of_class[drawn] = np.repeat(np.arange(len(parts)), parts)
    labels = [task.state["labels"][index] for index in drawn]
    return StagePlan(
        tables,
        {split: stage_of_class[task.targets(table)] for split, table in tables.items()},
        [labels[:end] for end in np.cumsum(parts)],
    )


def _parts(config: Config, classes: int) -> list[int]:
    """How many classes are new in each stage."""
    section = config.continual
    assert section is not None and not isinstance(section.stages, list)
    count, size = section.stages, section.classes
    if count is None:
        assert size is not None
        parts = [size] * (classes // size) + ([classes % size] if classes % size else [])
        if len(parts) < 2:
            raise UserError(f"continual.classes: {size}, and data.train has {classes}: that is one stage; use fewer")
        return parts
    if count > classes:
        raise UserError(f"continual.stages: {count}, and data.train has {classes} classes; use at most as many")
    if size is not None and not (count - 1) * size < classes <= count * size:
        raise UserError(
            f"continual.stages and classes: {count} stages of {size} classes, and data.train has {classes}; keep one "
            "of the two keys"
        )
    if size is not None:
        return [size] * (count - 1) + [classes - size * (count - 1)]
    return [len(part) for part in np.array_split(np.arange(classes), count)]


def _by_sources(config: Config, terminal: Terminal) -> StagePlan:
    section = config.continual
    assert section is not None and isinstance(section.stages, list)
    parts: list[Mapping[str, Table]] = []
    for source in [config.data.train, *section.stages]:
        stage = changed(config, {"data.train": source})
        parts.append(stage_splits(stage, create_task(stage), terminal.line).tables)
    shared = {split for split in parts[0] if split != "train" and not isinstance(getattr(config.data, split), float)}
    tables = {
        split: parts[0][split] if split in shared else joined([part[split] for part in parts]) for split in parts[0]
    }
    task = create_task(config)
    task.fit(tables)  # says which row of a shared split has a label that no stage learns
    names, order = task.state["labels"], []
    stage_of_class, labels = np.full(len(names), len(parts) - 1), []
    for number, part in enumerate(parts):
        new = [index for index in np.unique(task.targets(part["train"])).tolist() if index not in order]
        stage_of_class[new] = number
        order += new
        labels.append([names[index] for index in order])
    stage_of = {
        split: stage_of_class[task.targets(table)]
        if split in shared
        else np.repeat(np.arange(len(parts)), [len(part[split]) for part in parts])
        for split, table in tables.items()
    }
    return StagePlan(tables, stage_of, labels)
