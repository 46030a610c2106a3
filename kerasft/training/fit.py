"""From a planned run and its tables to a trained model on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.data.prepared import Prepared
from kerasft.data.table import Table
from kerasft.models.blocks import layer_depths, set_trainable
from kerasft.models.presets import load_backbone, load_tokenizer
from kerasft.runs import Run
from kerasft.tasks.base import Task
from kerasft.terminal import Terminal
from kerasft.training.strategy import create_strategy
from kerasft.training.trainer import Trainer


@dataclass(frozen=True)
class Fitted:
    """What training leaves in memory for the evaluation that follows.

    Attributes:
        prepared: every split, tokenized.
        strategy: the model was trained under.
        history: rows of the learning curves.
        training: figures of `metrics.json`, section `training`.
        model: figures of section `model`.
    """

    prepared: dict[str, Prepared]
    strategy: tf.distribute.Strategy
    history: list[dict[str, Any]]
    training: dict[str, Any]
    model: dict[str, Any]


@dataclass(frozen=True)
class Built:
    """A model before training, frozen as the config says, with what it was built from."""

    model: keras.Model
    backbone: keras.Model
    tokenizer: Any


def build_model(config: Config, task: Task, preset: str, load_weights: bool = True) -> Built:
    """The model of a config, in its precision; call it in the strategy's scope.

    Args:
        config: the resolved config.
        task: has learnt its state.
        preset: resolved.
        load_weights: False: random ones, for those who need shapes alone.
    """
    training = config.training
    with _precision(training.precision):
        backbone = load_backbone(
            preset, dropout=config.model.dropout, dtype=training.precision, load_weights=load_weights
        )
        backbone, tokenizer = task.adapt(backbone, load_tokenizer(preset))
        model = task.build(backbone)
    set_trainable(model, backbone, config.model.trainable)
    return Built(model, backbone, tokenizer)


def fit(
    run: Run, task: Task, tables: Mapping[str, Table], preset: str, terminal: Terminal, resume: bool = False
) -> Fitted:
    """Trains, and saves the best weights to the run's `model/`.

    Args:
        run: planned; its folder is made here, after everything that can be wrong was found.
        task: has learnt its state from the tables.
        tables: train, validation and perhaps test.
        preset: resolved; see `kerasft.models.presets`.
        terminal: shows progress.
        resume: go on from the newest checkpoint.
    """
    config = run.config
    keras.utils.set_random_seed(config.seed)
    strategy = create_strategy(config)
    with strategy.scope():
        built = build_model(config, task, preset)
    model, backbone, tokenizer = built.model, built.backbone, built.tokenizer
    preprocessor = task.preprocessor(backbone, tokenizer)
    prepared = {}
    with terminal.progress("tokenize", sum(map(len, tables.values())), unit="examples") as line:
        for split, table in tables.items():
            prepared[split] = task.prepare(table, preprocessor, weighted=split == "train")
            line.update(sum(map(len, prepared.values())))
    run.begin(tables, resume)
    trainer = Trainer(
        config=config,
        task=task,
        model=model,
        depths=layer_depths(backbone),
        train=prepared["train"],
        validation=prepared["validation"],
        strategy=strategy,
        folder=run.folder,
        terminal=terminal,
    )
    trainer.fit(resume)
    run.save_model(model, backbone, tokenizer, task)
    return Fitted(prepared, strategy, trainer.progress.history, trainer.figures(), _sizes(model, config))


def _sizes(model: keras.Model, config: Config) -> dict[str, Any]:
    return {
        "preset": config.model.preset,
        "parameters": int(model.count_params()),
        "trainable_parameters": int(sum(keras.ops.size(v) for v in model.trainable_weights)),
    }


class _precision:
    """Sets the dtype policy for the layers made inside, and puts the old one back."""

    def __init__(self, policy: str):
        self.policy = policy

    def __enter__(self) -> None:
        self.before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.policy)

    def __exit__(self, *details: Any) -> None:
        keras.config.set_dtype_policy(self.before)
