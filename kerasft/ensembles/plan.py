"""What an ensemble is made of, before TensorFlow loads: its config, its rows, the runs of its members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasft.config.averaging import SoupConfig
from kerasft.config.differences import check_same_config
from kerasft.config.output import SAVED_MODEL
from kerasft.config.ranges import with_values
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.splits import stage_splits
from kerasft.data.tables.table import Table
from kerasft.errors import UserError
from kerasft.models.presets.positions import fit_max_length
from kerasft.runs import Run
from kerasft.session import train_run
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

MEAN, VOTE, STACKING = "mean", "vote", "stacking"


@dataclass(frozen=True)
class Settings:
    """How an ensemble is made.

    Attributes:
        members: how many runs are trained; 0: finished runs are taken.
        folds: each member leaves out another part of train, and chooses its best weights by that part.
        combine: mean, vote or stacking.
        distil: train one model on what the ensemble says.
    """

    members: int = 5
    folds: bool = False
    combine: str = MEAN
    distil: bool = False


def folder_of(config: Config) -> Path:
    """Of an ensemble."""
    return Path(config.output.dir) / config.name


def ensemble_config(config: Config) -> Config:
    """The config of an ensemble over members of a config: its name says what it is."""
    return config.model_copy(update={"name": f"{config.name[:180]}-ensemble", "search": None})


def check_settings(config: Config, settings: Settings) -> None:
    """Raises UserError for what this task's models can't be joined by; nothing is read."""
    task = create_task(config)
    task.check_config()
    name = config.task.name
    if task.embeds or not joins(task):
        raise UserError(
            f"kerasft ensemble: {name} as it is set here has no ensemble; it is for labels, numbers, tags, answers in "
            "a text and texts that are written"
        )
    if settings.combine != MEAN and (task.writes or not task.one_of_many):
        raise UserError(f"--combine {settings.combine} is for one label of several; take mean for this {name}")
    if settings.combine == STACKING and not settings.folds:
        raise UserError(
            "--combine stacking learns shares on the validation split, which members without --folds were chosen by; "
            "add --folds, or take mean"
        )
    if settings.folds and config.data.mitigate is not None:
        raise UserError(
            "--folds: rows of data.mitigate would be in other folds than those they are made of; leave it out"
        )
    if settings.distil and (task.writes or not task.one_of_many):
        raise UserError(f"--distil is for one label of several, and this {name} has other logits; leave it out")
    if settings.distil and config.training.objective is not None:
        raise UserError("--distil: training.objective is distillation then; set it to null")
    if config.export.enabled and config.export.formats != [SAVED_MODEL]:
        raise UserError(
            f"export.formats: {config.export.formats}, and an ensemble is one SavedModel; leave formats out"
        )
    if config.export.enabled and config.export.adapters:
        raise UserError(
            "export.adapters: an ensemble is one SavedModel of whole models; leave adapters out, or set export.enabled "
            "to false"
        )
    for key in ("explain", "labels"):
        if config.export.enabled and getattr(config.export, key):
            raise UserError(
                f"export.{key}: {getattr(config.export, key)}, but an ensemble has no such signature; leave it out"
            )
    if settings.members and isinstance(config.training.averaging, SoupConfig):
        raise UserError(
            "training.averaging: a soup is of runs with one seed and the same rows, and members have others; set null"
        )


def joins(task: Task) -> bool:
    """Whether a task says how the logits of several models become those of one."""
    from kerasft.tasks.base import Task as Base

    return task.one_of_many or type(task).joined_logits is not Base.joined_logits


def read_rows(config: Config, terminal: Terminal) -> tuple[dict[str, Table], Task]:
    """Every split of a config, and its task, which has learnt from them."""
    config = fit_max_length(config)
    task = create_task(config)
    tables = dict(stage_splits(config, task, terminal.line).tables)
    task.fit(tables)
    return tables, task


def fold_numbers(rows: int, groups: np.ndarray | None, folds: int, seed: int) -> np.ndarray:
    """(rows,) the fold of each row: folds differ by one row at most, and by one of each group."""
    order = np.random.default_rng(seed).permutation(rows)
    if groups is not None:
        order = order[np.argsort(np.asarray(groups)[order], kind="stable")]
    numbers = np.empty(rows, np.int64)
    numbers[order] = np.arange(rows) % folds
    return numbers


def train_members(
    config: Config, tables: Mapping[str, Table], task: Task, settings: Settings, folder: Path, terminal: Terminal
) -> list[Run]:
    """The runs of the members; those that are there already are taken as they are, or gone on with.

    Args:
        config: of the ensemble.
        tables: train and validation, read by the config's own seed.
        task: has learnt from them; its labels are those of every member.
        settings: seeds or folds.
        folder: of the ensemble.
        terminal: shows progress.

    Raises:
        UserError: a finished member was trained by another config, or on other rows.
    """
    rows = {split: tables[split] for split in ("train", "validation")}
    train, runs = tables["train"], []
    numbers = None
    if settings.folds:
        numbers = fold_numbers(len(train), task.stratify(train), settings.members, config.seed)
    shared: dict[str, object] = {}
    if "labels" in task.section_keys() and "labels" in task.state:
        shared["task.labels"] = task.state["labels"]  # a fold may lack one
    for place in range(settings.members):
        mine, seed = rows, config.seed + place
        if numbers is not None:
            chosen = numbers == place
            mine = {"train": train.select(np.flatnonzero(~chosen)), "validation": train.select(np.flatnonzero(chosen))}
        name = f"fold-{place}" if settings.folds else f"seed-{seed}"
        member = with_values(
            config,
            {
                **shared,
                "name": name,
                "seed": seed,
                "output.dir": str(folder / "members"),
                "export.enabled": False,
            },
        )
        run = Run(folder / "members" / name, member)
        if (run.folder / "finished.json").is_file():
            before = Run.open(run.folder)
            check_same_config(before.config.model_dump(mode="json"), fit_max_length(member), run.folder)
            before.check_data(mine)
            terminal.line(f"member {place + 1} of {settings.members}: {run.folder} is there")
        else:
            terminal.line(f"member {place + 1} of {settings.members}: {name}")
            train_run(member, tables=mine, existing="resume", terminal=terminal)
        runs.append(Run.open(run.folder))
    return runs


def check_members(runs: Sequence[Run]) -> None:
    """Raises UserError where finished runs do not answer the same question."""
    first = runs[0]
    labels = sorted(first.load_state().get("labels") or ())
    for run in runs[1:]:
        if run.config.task.model_dump(exclude={"labels"}) != first.config.task.model_dump(exclude={"labels"}):
            raise UserError(f"{run.folder}: its section task is not that of {first.folder}; members have the same task")
        theirs = sorted(run.load_state().get("labels") or ())
        if theirs != labels:
            other = sorted({*theirs} ^ {*labels})[0]
            raise UserError(f"{run.folder}: it and {first.folder} differ in the label {other!r}; members have the same")
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise UserError(f"{runs[-1].folder}: a run is named twice; name each once")
