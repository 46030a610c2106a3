"""From a planned run and its tables to a trained model on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.assembly import Assembled, Start, assemble
from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.batching.dataset import wants_one_shape
from kerasft.data.cache.cache import FeatureCache
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.tables.digests import UNLABELLED
from kerasft.data.tables.table import Table
from kerasft.distribution.cluster import Cluster
from kerasft.distribution.strategy import create_strategy
from kerasft.distribution.workers import Workers, workers_of
from kerasft.errors import UserError
from kerasft.evaluation.report.warnings import unreachable_warnings
from kerasft.models.blocks import layer_depths, transformer_blocks
from kerasft.models.parameter_counts import trained_share
from kerasft.run_adapter import save_adapter
from kerasft.run_folder import hold
from kerasft.runs import Run
from kerasft.tasks.base import Task
from kerasft.training.actions import Action
from kerasft.training.actions.tracking import trackers
from kerasft.training.batches import check_batch
from kerasft.training.checkpoints.checkpoint_folder import CheckpointDir, checkpoint_folder
from kerasft.training.digest import run_digest
from kerasft.training.footprint import footprint
from kerasft.training.layers.packed_layers import PackedLayers
from kerasft.training.layers.precision import layer_policy
from kerasft.training.microbatches import requested_microbatches
from kerasft.training.objectives.base import MakeObjective, Objective
from kerasft.training.objectives.registry import make_objective
from kerasft.training.objectives.server_teacher import Server
from kerasft.training.plan import TrainingPlan
from kerasft.training.soup import check_runs, make_soup
from kerasft.training.tokenized import tokenized
from kerasft.training.trainer import Trainer
from kerasft.training.unlabelled import unlabelled_texts


@dataclass(frozen=True)
class TrainResult:
    """What training leaves in memory for the evaluation that follows.

    Attributes:
        prepared: every split, tokenized.
        strategy: the model was trained under.
        workers: the processes that trained; the chief writes what follows.
        history: rows of the learning curves.
        training: figures of `metrics.json`, section `training`.
        model: figures of section `model`.
        warnings: what is odd about the names in the data.
        left_out: logits of validation by heads without the row, see `FittedHead`; None: they are the model's own.
    """

    prepared: dict[str, Prepared]
    strategy: tf.distribute.Strategy
    workers: Workers
    history: list[dict[str, Any]]
    training: dict[str, Any]
    model: dict[str, Any]
    warnings: Sequence[str] = ()
    left_out: np.ndarray | None = None


@dataclass(frozen=True)
class PreparedRun:
    """A run on the point of its first step.

    Attributes:
        trainer: holds the model and the prepared splits it trains and validates on.
        prepared: every split, tokenized.
        assembled: the model and what it is made of.
        cache: that the splits came from or went to; None: there is none.
        figures: of `metrics.json`, section `training`, about what was made before the first step.
        unlabelled: texts without labels that it learns from; None: it has none.
    """

    trainer: Trainer
    prepared: dict[str, Prepared]
    assembled: Assembled
    cache: FeatureCache | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    unlabelled: Table | None = None


@dataclass(frozen=True)
class TrainingJob:
    """What is to be trained.

    Attributes:
        run: planned.
        task: has learnt its state from the tables.
        tables: train, validation and perhaps test.
        preset: resolved; see `kerasft.models.presets.presets`. None: from scratch.
        terminal: shows progress.
        cluster: of workers that train together; None: this process alone.
        start: what is done to the model before it trains; see `kerasft.assembly.assemble`.
        actions: what happens beside the usual actions of a training.
        objective: makes what is minimised; None: what the config names.
        server: that the config names as a teacher; None: it names none.
        cleaning: the record of what stages did to the rows; None: nothing was asked of them.
        check: raises UserError for a model that could not be exported as the config asks; None: nothing is checked.
    """

    run: Run
    task: Task
    tables: Mapping[str, Table]
    preset: str | None
    terminal: Terminal
    cluster: Cluster | None = None
    start: Start | None = None
    actions: tuple[Action, ...] = ()
    objective: MakeObjective | None = None
    server: Server | None = None
    cleaning: Mapping[str, Any] | None = None
    check: Callable[[Assembled], None] | None = None


def prepare(job: TrainingJob) -> PreparedRun:
    """Strategy, model, tokenized splits and optimizer. Nothing is written."""
    run, task, config = job.run, job.task, job.run.config
    keras.utils.set_random_seed(config.seed)
    if config.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = create_strategy(config, job.cluster, requested_microbatches(config, task))
    workers = workers_of(strategy)
    workers.run_on_all(lambda: check_batch(config, strategy.num_replicas_in_sync, wants_one_shape(strategy)))
    workers.run_on_all(lambda: _check_fit_head(config, workers))
    assembled, objective = _assembled(job, strategy)
    if (check := job.check) is not None:
        workers.run_on_all(lambda: check(assembled))
    method = assembled.method
    share = trained_share(assembled.model, method.bookkeeping if method else ())
    for line in (share, *(method.notes if method else ())):
        job.terminal.line(line)
    if config.data.batching == "pack":
        workers.run_on_all(lambda: PackedLayers(assembled.model))  # said before every text is tokenized
    cache = FeatureCache(config.data.cache) if config.data.cache else None
    texts = workers.run_on_all(lambda: unlabelled_texts(config, task, job.tables, job.terminal))
    taught = None if config.training.self_training else texts  # by a teacher
    tables = job.tables if taught is None else {**job.tables, UNLABELLED: taught}
    prepared, train, figures = workers.run_on_all(
        lambda: tokenized(config, task, tables, assembled, cache, objective, job.terminal)
    )
    missed = {name: task.unreachable(split) for name, split in prepared.items()}
    for warning in unreachable_warnings(missed, job.tables):
        job.terminal.line(f"warning: {warning}")
    if workers.count > 1:
        workers.check_same(run_digest(config, task, prepared | {"train": train}), "a config, data or a tokenizer")
    plan = TrainingPlan(
        config=config,
        task=task,
        model=assembled.model,
        train=train,
        validation=prepared["validation"],
        strategy=strategy,
        folder=run.folder,
        checkpoints=checkpoint_folder(run),
        terminal=job.terminal,
        depths={**layer_depths(assembled.backbone), **(assembled.method.depths if assembled.method else {})},
        workers=workers,
        recomputed=recomputed_layers(config, assembled.backbone),
        objective=objective,
        actions=(*trackers(config), *job.actions),
        method=assembled.method,
        unlabelled=None if texts is taught else task.prepare(texts, assembled.preprocessor),
        soup=check_runs(config, job.tables),
    )
    return PreparedRun(Trainer(plan), prepared, assembled, cache, figures, texts)


def _assembled(job: TrainingJob, strategy: tf.distribute.Strategy) -> tuple[Assembled, Objective]:
    """The model, and what is minimised."""
    config = job.run.config
    with strategy.scope():
        assembled = assemble(
            config,
            job.task,
            preset=job.preset,
            train=job.tables["train"],
            policy=layer_policy(config.training.precision),
            start=job.start,
        )
        return assembled, make_objective(config, job.objective, job.server)(assembled.model, job.task)


def _check_fit_head(config: Config, workers: Workers) -> None:
    if config.training.fit_head and workers.count > 1:
        raise UserError("training.fit_head: true is for one process, and this run has several workers; leave it false")


def recomputed_layers(config: Config, backbone: keras.Model) -> list[keras.layers.Layer]:
    """The layers that `training.rematerialize` is about."""
    return transformer_blocks(backbone) if config.training.rematerialize else []


def fit(job: TrainingJob, resume: bool = False, overwrite: bool = False) -> TrainResult:
    """Trains, and saves the best weights to the run's `model/`.

    The run's folder is made here, after everything that can be wrong was found.

    Args:
        job: what is to be trained.
        resume: go on from the newest checkpoint.
        overwrite: replace those of another run of this name.
    """
    ready, run = prepare(job), job.run
    trainer, workers = ready.trainer, ready.trainer.workers

    def begin() -> None:
        if (resume or overwrite) and run.folder.exists():
            hold(run.folder)  # before another's checkpoints elsewhere could be taken
        tables = dict(job.tables) if ready.unlabelled is None else {**job.tables, UNLABELLED: ready.unlabelled}
        CheckpointDir(run, tables).begin(resume, overwrite)
        run.begin(tables, resume, overwrite, **({"cleaning": job.cleaning} if job.cleaning else {}))
        trainer.objective.keep(run.folder)

    workers.run_on_chief(begin)
    workers.check_sees(run.folder)
    trainer.fit(resume)
    soup = make_soup(trainer.plan, trainer.evaluator, trainer.selection)
    workers.run_on_chief(lambda: run.save_model(ready.assembled, job.task))
    if ready.assembled.method is not None and ready.assembled.method.portable:
        workers.run_on_chief(lambda: save_adapter(ready.assembled, job.task, run.folder))
    sizes = footprint(trainer.model, ready.assembled.method, run.config, trainer.checkpoints)
    figures = trainer.figures() | dict(ready.figures) | soup
    figures |= {"data_cache": ready.cache.figures()} if ready.cache else {}
    warnings = job.task.data_warnings() + trainer.head.warnings()
    strategy, history, left_out = trainer.strategy, trainer.progress.history, trainer.head.left_out()
    return TrainResult(ready.prepared, strategy, workers, history, figures, sizes, warnings, left_out)
