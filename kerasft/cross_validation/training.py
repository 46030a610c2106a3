"""`data.folds`: as many runs as folds, each measured on the rows that the others learn from."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kerasft.atomic import write_atomically
from kerasft.augmentation_texts import make_texts
from kerasft.config.data import LEAVE_ONE_OUT
from kerasft.config.differences import check_same_config
from kerasft.config.load import dump_config, load_config
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.cross_validation.folds import assign_folds
from kerasft.cross_validation.runs import FOLDS, Fold, Folded, FoldsOutcome
from kerasft.cross_validation.summary import means, show_summary, summarize, write_out_of_fold
from kerasft.data.quality.folding import row_keys
from kerasft.data.splits import stage_splits
from kerasft.data.stages.held_out import held_out_share
from kerasft.data.tables.table import Table
from kerasft.errors import Interrupted, UserError
from kerasft.invocation import training_command
from kerasft.run_folder import check_free, is_run
from kerasft.runs import Run
from kerasft.session import Existing, train_run
from kerasft.tasks.base import Task
from kerasft.tasks.registry import create_task

FINISHED = "finished.json"


def read_folded(config: Config, folds: int, terminal: Terminal, key: str = "data.folds") -> Folded:
    """Reads the rows of a config and deals them out. Raises UserError as `load_splits` does."""
    task = create_task(config)
    task.check_config()
    staged = stage_splits(config, task, terminal.line, shares=False)
    table, validation = staged.tables["train"], staged.tables.get("validation")
    if config.data.validation == LEAVE_ONE_OUT:
        validation = None  # of each fold its own rows of train
    task.fit({"train": table, "validation": table if validation is None else validation})
    keys = row_keys(table, task.source_texts, plain=task.without_marks)
    fold_of = assign_folds(keys, task.stratify(table), folds, config.seed, key)
    return Folded(task, table, validation, fold_of, folds, staged.record())


def check_foldable(config: Config, key: str = "data.folds") -> None:
    """Raises UserError where a config can't be trained in folds; `key` asks for them."""
    if config.training.strategy == "multi_worker":
        raise UserError(f"{key}: not with several workers; set training.strategy: auto")
    if config.data.mitigate is not None:
        raise UserError(
            f"{key}: rows of data.mitigate would be in other folds than those they are made of; set it to null"
        )
    if config.training.checkpoint.dir is not None:
        raise UserError(f"{key}: the folds would share training.checkpoint.dir; leave that out")


def train_folds(config: Config, folded: Folded, folder: Path, existing: Existing, terminal: Terminal) -> Iterator[Fold]:
    """Trains the folds one after the other, in FOLDER/folds/fold-1 and so on; those that are finished are read.

    Args:
        config: of every run but for its name, its folder and its rows.
        folded: the rows.
        folder: that the runs go to.
        existing: of each run, see `train_run`; `resume` goes on with the first that is not finished.
        terminal: shows progress.

    Raises:
        UserError, Stop: as `train_run` does.
    """
    for number in range(folded.folds):
        rows = np.flatnonzero(folded.fold_of == number)
        table = folded.table.select(rows)
        own = fold_config(config, folded.task, folder, number)
        tables = _tables(config, folded, rows)
        run = Run(Path(own.output.dir) / own.name, own)
        terminal.line(f"fold {number + 1} of {folded.folds}: measured on {len(rows):,} rows")
        if existing == "resume" and (run.folder / FINISHED).is_file():
            run.check_data(tables)
            terminal.line(f"{run.folder}: finished before")
        else:
            make_texts(own, tables, terminal, keep=existing == "resume")  # other rows, so a file of its own
            forget_graphs()
            train_run(own, tables=tables, existing=existing, terminal=terminal)
        yield Fold(run, run.load_json("metrics.json"), rows, table)


def fold_config(config: Config, task: Task, folder: Path, number: int) -> Config:
    """The config of one fold's run, which has a logit for every label of the data, whether its rows have it or not."""
    section = config.task
    if "labels" in task.section_keys() and task.state.get("labels"):
        section = section.model_copy(update={"labels": list(task.state["labels"])})
    return config.model_copy(
        update={
            "name": f"fold-{number + 1}",
            "task": section,
            "data": config.data.model_copy(update={"folds": None}),
            "output": config.output.model_copy(update={"dir": str(folder / FOLDS)}),
            "export": config.export.model_copy(update={"enabled": False}),
        }
    )


def _tables(config: Config, folded: Folded, held: np.ndarray) -> dict[str, Table]:
    """What the run of a fold learns from, is chosen by, and is measured on."""
    rest = np.setdiff1d(np.arange(len(folded.table)), held)
    train, validation = folded.table.select(rest), folded.validation
    if validation is None:
        share = config.data.validation
        if share == LEAVE_ONE_OUT:
            return {"train": train, "validation": train, "test": folded.table.select(held)}
        assert isinstance(share, float)  # a source is a table of its own
        learn, measure = held_out_share(len(train), share, folded.task.stratify(train), config.seed)
        train, validation = train.select(learn), train.select(measure)
    return {"train": train, "validation": validation, "test": folded.table.select(held)}


def forget_graphs() -> None:
    """Frees what the run before left in Keras."""
    import keras

    keras.backend.clear_session()
    gc.collect()


def cross_validate(config: Config, existing: Existing = "refuse", terminal: Terminal | None = None) -> FoldsOutcome:
    """Trains `data.folds` runs, and writes what they have in common to OUTPUT.DIR/NAME.

    cross_validation.json has the mean and the standard deviation of each metric over the folds, and each fold's own;
    predictions/out_of_fold.jsonl each row of train with the answer of the model that did not learn from it.

    Args:
        config: with `data.folds`.
        existing: what becomes of a folder of this name.
        terminal: shows progress and results.

    Returns:
        The means over the folds, as an Outcome has the figures of a run.

    Raises:
        UserError, Stop: as `train_run` does.
    """
    terminal = terminal or Terminal()
    folds = config.data.folds
    assert folds is not None  # or there is nothing to do here
    check_foldable(config)
    folder = Path(config.output.dir) / config.name
    _check_folder(folder, config, existing)
    folded = read_folded(config, folds, terminal)
    if isinstance(config.data.test, (str, list, float)):
        terminal.line("data.test: not measured by folds; a run with data.folds=null is")
    if existing == "overwrite":
        shutil.rmtree(folder, ignore_errors=True)
    trained: list[Fold] = []
    own: Existing = "refuse" if existing == "overwrite" else existing
    try:
        for fold in train_folds(config, folded, folder, own, terminal):
            if not trained:
                write_atomically(folder / "config.yaml", dump_config(config))
            trained.append(fold)
    except Interrupted as error:
        how = training_command(folder / "config.yaml", "--resume") if trained else "give the same command with --resume"
        raise type(error)(f"stopped in fold {len(trained) + 1}; to go on: {how}") from None
    summary = summarize(folded, trained)
    write_atomically(folder / "cross_validation.json", json.dumps(summary, indent=2, ensure_ascii=False))
    write_out_of_fold(folder / "predictions" / "out_of_fold.jsonl", folded, trained)
    show_summary(summary, folder, terminal)
    return FoldsOutcome(folder, tuple(fold.run for fold in trained), {"test": means(summary)}, summary)


def _check_folder(folder: Path, config: Config, existing: Existing) -> None:
    """Raises UserError where there is something that is not to be replaced, or is of another config."""
    if not folder.exists():
        return
    check_free(folder)
    if existing == "refuse":
        raise UserError(f"{folder} exists; choose another name=..., or add --resume or --overwrite")
    if existing == "overwrite":
        if not (is_run(folder) or (folder / FOLDS).is_dir() or not any(folder.iterdir())):
            raise UserError(f"{folder} is not a run, so --overwrite leaves it alone; choose another name=...")
        return
    if is_run(folder):
        raise UserError(f"{folder} is one run, not several folds; choose another name=..., or add --overwrite")
    if (folder / "config.yaml").is_file():
        check_same_config(load_config(folder / "config.yaml").model_dump(mode="json"), config, folder)
