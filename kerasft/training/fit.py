"""From a planned run and its tables to a trained model on disk."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.batching.dataset import wants_one_shape
from kerasft.data.cache.cache import FeatureCache
from kerasft.data.prepared.prepared import TEXTS_A_BATCH, Prepared
from kerasft.data.tables.table import Table
from kerasft.distribution.cluster import Cluster
from kerasft.distribution.strategy import create_strategy
from kerasft.distribution.workers import Workers, digest_of, workers_of
from kerasft.errors import UserError
from kerasft.models.blocks import layer_depths, set_trainable, transformer_blocks
from kerasft.models.presets.from_scratch import start_from_scratch
from kerasft.models.presets.presets import load_backbone, load_tokenizer
from kerasft.models.tokenizers.digest import reader_digest
from kerasft.run_folder import hold
from kerasft.runs import Run
from kerasft.tasks.base import Task
from kerasft.training.batches import check_batch
from kerasft.training.checkpoints.checkpoint_folder import Place, checkpoint_folder
from kerasft.training.layers.packed_layers import PackedLayers
from kerasft.training.layers.precision import dtype_policy, layer_policy
from kerasft.training.microbatches import wanted_microbatches
from kerasft.training.trainer import Trainer


@dataclass(frozen=True)
class Fitted:
    """What training leaves in memory for the evaluation that follows.

    Attributes:
        prepared: every split, tokenized.
        strategy: the model was trained under.
        workers: that trained it.
        history: rows of the learning curves.
        training: figures of `metrics.json`, section `training`.
        model: figures of section `model`.
    """

    prepared: dict[str, Prepared]
    strategy: tf.distribute.Strategy
    workers: Workers
    history: list[dict[str, Any]]
    training: dict[str, Any]
    model: dict[str, Any]


@dataclass(frozen=True)
class Built:
    """A model before training, frozen as the config says, with what it was built from."""

    model: keras.Model
    backbone: keras.Model
    tokenizer: Any


@dataclass(frozen=True)
class Ready:
    """A run on the point of its first step.

    Attributes:
        trainer: holds the model and the prepared splits it trains and validates on.
        prepared: every split, tokenized.
        built: the model and what it was built from.
        cache: that the splits came from or went to; None: there is none.
    """

    trainer: Trainer
    prepared: dict[str, Prepared]
    built: Built
    cache: FeatureCache | None = None


def build_model(
    config: Config, task: Task, train: Table, preset: str | None, policy: str, load_weights: bool = True
) -> Built:
    """The model of a config; call it in the strategy's scope.

    Args:
        config: the resolved config.
        task: has learnt its state.
        train: the training split, which a tokenizer is made from where training starts from scratch.
        preset: resolved; None: from scratch.
        policy: the dtype policy of its layers.
        load_weights: False: random ones, for those who need shapes alone.
    """
    with dtype_policy(policy):
        backbone, tokenizer = task.adapt(*_start(config, task, train, preset, policy, load_weights))
        model = task.build(backbone)
        if preset is not None and load_weights:
            task.load_head(model, preset)
    set_trainable(model, backbone, config.model.trainable)
    return Built(model, backbone, tokenizer)


def prepare(
    run: Run,
    task: Task,
    tables: Mapping[str, Table],
    preset: str | None,
    terminal: Terminal,
    cluster: Cluster | None = None,
) -> Ready:
    """Strategy, model, tokenized splits and optimizer. Nothing is written.

    Args:
        run: planned.
        task: has learnt its state from the tables.
        tables: train, validation and perhaps test.
        preset: resolved; see `kerasft.models.presets.presets`. None: from scratch.
        terminal: shows progress.
        cluster: of workers that train together; None: this process alone.
    """
    config = run.config
    keras.utils.set_random_seed(config.seed)
    if config.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = create_strategy(config, cluster, wanted_microbatches(config, task))
    workers = workers_of(strategy)
    workers.together(lambda: check_batch(config, strategy.num_replicas_in_sync, wants_one_shape(strategy)))
    workers.together(lambda: _check_fit_head(config, workers))
    policy = layer_policy(config.training.precision)
    with strategy.scope():
        built = build_model(config, task, tables["train"], preset, policy)
    model, backbone, tokenizer = built.model, built.backbone, built.tokenizer
    if config.data.batching == "pack":
        workers.together(lambda: PackedLayers(model))  # said before every text is tokenized
    preprocessor = task.preprocessor(backbone, tokenizer)
    cache = FeatureCache(config.data.cache) if config.data.cache else None
    reader = reader_digest(backbone, tokenizer) if cache else None
    prepared = workers.together(lambda: _tokenized(task, tables, preprocessor, terminal, cache, reader))
    if workers.count > 1:
        workers.check_same(_digest(config, task, prepared), "a config, data or a tokenizer")
    trainer = Trainer(
        config=config,
        task=task,
        model=model,
        depths=layer_depths(backbone),
        train=prepared["train"],
        validation=prepared["validation"],
        strategy=strategy,
        folder=run.folder,
        checkpoints=checkpoint_folder(run),
        terminal=terminal,
        workers=workers,
        recomputed=recomputed_layers(config, backbone),
    )
    return Ready(trainer, prepared, built, cache)


def _check_fit_head(config: Config, workers: Workers) -> None:
    if config.training.fit_head and workers.count > 1:
        raise UserError("training.fit_head: true is for one process, and this run has several workers; leave it false")


def recomputed_layers(config: Config, backbone: keras.Model) -> list[keras.layers.Layer]:
    """The layers that `training.rematerialize` is about."""
    return transformer_blocks(backbone) if config.training.rematerialize else []


def _tokenized(
    task: Task,
    tables: Mapping[str, Table],
    preprocessor: Any,
    terminal: Terminal,
    cache: FeatureCache | None,
    reader: Mapping[str, Any] | None,
) -> dict[str, Prepared]:
    """Every split as the model reads it; `reader` is what features for this model are kept by."""
    prepared = {}
    with terminal.progress("tokenize", sum(map(len, tables.values())), unit="examples") as line:
        done = 0
        for split, table in tables.items():
            weighted = split == "train"
            make = functools.partial(task.prepare, table, preprocessor, weighted=weighted)
            if cache is None:
                prepared[split] = make()
            else:
                settings = {**task.features_made_from(weighted), "reader": reader}
                prepared[split] = cache.prepared(split, table, settings, make)
            done += len(table)
            line.update(done)
    for told in cache.lines() if cache else ():
        terminal.line(told)
    return prepared


def fit(
    run: Run,
    task: Task,
    tables: Mapping[str, Table],
    preset: str | None,
    terminal: Terminal,
    resume: bool = False,
    overwrite: bool = False,
    cluster: Cluster | None = None,
) -> Fitted:
    """Trains, and saves the best weights to the run's `model/`.

    Arguments are those of `prepare`; the run's folder is made here, after everything that can be wrong was found.

    Args:
        resume: go on from the newest checkpoint.
        overwrite: replace those of another run of this name.
    """
    ready = prepare(run, task, tables, preset, terminal, cluster)
    trainer, built = ready.trainer, ready.built
    workers = trainer.workers

    def begin() -> None:
        if (resume or overwrite) and run.folder.exists():
            hold(run.folder)  # before another's checkpoints elsewhere could be taken
        Place(run, tables).begin(resume, overwrite)
        run.begin(tables, resume, overwrite)

    workers.by_chief(begin)
    workers.check_sees(run.folder)
    trainer.fit(resume)
    workers.by_chief(lambda: run.save_model(trainer.model, built.backbone, built.tokenizer, task))
    sizes = _sizes(trainer.model, run.config)
    figures = trainer.figures() | ({"data_cache": ready.cache.figures()} if ready.cache else {})
    return Fitted(ready.prepared, trainer.strategy, workers, trainer.progress.history, figures, sizes)


def _start(
    config: Config, task: Task, train: Table, preset: str | None, policy: str, load_weights: bool
) -> tuple[keras.Model, Any]:
    """The backbone and tokenizer that training starts from."""
    if preset is not None:
        backbone = load_backbone(preset, dropout=config.model.dropout, dtype=policy, load_weights=load_weights)
        return backbone, load_tokenizer(preset)

    def texts() -> Iterator[str]:
        for batch in train.batches(TEXTS_A_BATCH, list(task.texts)):
            for column in batch.values():
                yield from column

    return start_from_scratch(config.model, texts, policy, task.positions)


def _digest(config: Config, task: Task, prepared: Mapping[str, Prepared]) -> str:
    """Of all that decides what a step does and which weights are best."""
    parts = [config.model_dump_json(), json.dumps(task.state, sort_keys=True)]
    for split, rows in prepared.items():
        for side in rows.sides:
            parts += [split, side.offsets, side.targets, *(side.features[name] for name in sorted(side.features))]
    return digest_of(*parts)


def _sizes(model: keras.Model, config: Config) -> dict[str, Any]:
    return {
        "preset": config.model.preset,
        "parameters": int(model.count_params()),
        "trainable_parameters": int(sum(keras.ops.size(v) for v in model.trainable_weights)),
    }
