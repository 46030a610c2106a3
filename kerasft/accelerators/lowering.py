"""The programs that a config runs on an accelerator, as HLO: the trainer's own step and the evaluator's own forward."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.accelerators.bounds import Length, Refused
from kerasft.accelerators.compiler import refusal
from kerasft.assembly import assemble
from kerasft.config.schema import Config
from kerasft.data.batching.batching import steps_per_epoch
from kerasft.data.batching.epochs import count_steps
from kerasft.data.batching.pack_plan import Packing
from kerasft.data.prepared.prepared import Prepared
from kerasft.data.tables.table import Table
from kerasft.evaluation.evaluate import Evaluator
from kerasft.models.blocks import layer_depths
from kerasft.tasks.base import Task
from kerasft.training.augmentation import augmented
from kerasft.training.batches import Batches
from kerasft.training.fit import recomputed_layers
from kerasft.training.objectives.registry import make_objective
from kerasft.training.optimizer import create_optimizer
from kerasft.training.step import StepPlan, make_train_step


class Programs:
    """One replica's share of training and evaluation.

    Weights are random: only shapes matter. What crosses replicas, the sum of the gradients, is not in these programs.

    Args:
        config: of the run that is to train; batch size, precision and layer forms are read.
        task: has learnt its state from the tables.
        tables: train and validation are read, for shapes and counts.
        preset: resolved; None: from scratch.
        chips: replicas that a batch is shared by.
    """

    def __init__(self, config: Config, task: Task, tables: Mapping[str, Table], preset: str | None, chips: int):
        keras.utils.set_random_seed(config.seed)
        self.config, self.chips = config, chips
        strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
        with strategy.scope():
            assembled = assemble(
                config,
                task,
                preset=preset,
                train=tables["train"],
                policy=config.training.precision,
                load_weights=False,
            )
        self.model, self.method = assembled.model, assembled.method
        train, preprocessor = tables["train"], assembled.preprocessor
        plain = task.prepare(train, preprocessor, weighted=True)
        self.train_data, _, _ = augmented(
            config, task, train, plain, lambda _, rows: task.prepare(rows, preprocessor, weighted=True)
        )
        self.rows = len(self.train_data.epochs[0] if self.train_data.epochs else self.train_data)  # of an epoch
        self.validation = task.prepare(tables["validation"], assembled.preprocessor)
        with strategy.scope():
            steps = self.length(config.training.batch_size).steps
            self.optimizer = create_optimizer(config.training, steps, self.model, layer_depths(assembled.backbone))
            self.objective = make_objective(config)(self.model, task)
        if self.method:
            self.method.begin(steps)
        self._strategy, self._batches = strategy, {}
        self._recomputed = recomputed_layers(config, assembled.backbone)
        size = config.training.evaluation_batch_size
        self._forward = Evaluator(self.model, strategy, size, task.condense).forward

    def length(self, batch_size: int) -> Length:
        """How long the run is with this global batch."""
        training = self.config.training
        epoch = steps_per_epoch(self.rows, batch_size)
        steps = count_steps(training, lambda epochs: math.ceil(epochs * epoch))
        interval = training.evaluate_every or epoch
        evaluation_steps = math.ceil(len(self.validation) / (self.evaluation_share * self.chips))
        return Length(steps, epoch, math.ceil(steps / interval), evaluation_steps)

    @property
    def evaluation_share(self) -> int:
        """Examples that a replica evaluates at once."""
        return -(-self.config.training.evaluation_batch_size // self.chips)

    @property
    def reduced_bytes(self) -> int:
        """Bytes of the gradients that are summed over replicas each step, and of the sum of weights."""
        return sum(_bytes(variable) for variable in self.model.trainable_variables) + 4

    @property
    def state_bytes(self) -> int:
        """Bytes of all variables: weights, random states, what the optimizer and the objective keep."""
        kept = (*self.model.variables, *self.optimizer.variables, *self.objective.variables)
        return sum(_bytes(variable) for variable in kept)

    def training(self, batch_size: int) -> bytes | Refused:
        """HLO of one replica's step with its share of this global batch."""
        training, batches = self.config.training, self.batches(batch_size)
        parts, fused = training.gradient_accumulation, training.fused or ()
        plan = StepPlan(
            model=self.model,
            objective=self.objective,
            optimizer=self.optimizer,
            strategy=self._strategy,
            accumulation=parts,
            fused=fused,
            packed=batches.packed,
            recomputed=self._recomputed,
            xla=True,
            method=self.method,
        )
        return lowered(
            make_train_step(plan), _share(self.train_data.at_step(0), batch_size // self.chips, batches.packing, parts)
        )

    def batches(self, batch_size: int) -> Batches:
        """How the run's batches are made with this global batch."""
        if batch_size not in self._batches:
            batches = Batches.of(self.config, self.model, self.train_data, batch_size, self.chips, static=True)
            self._batches[batch_size] = batches
        return self._batches[batch_size]

    def evaluation(self) -> bytes | Refused:
        """HLO of one replica's evaluation of a batch."""
        return lowered(self._forward, _share(self.validation, self.evaluation_share))


def _share(prepared: Prepared, rows: int, packing: Packing | None = None, parts: int = 1) -> tuple:
    """A batch of the shape that every batch has on this device; which rows it holds does not matter."""
    fill = np.full(rows, -1, np.int64)
    features, targets, weights = prepared.batch(fill, static=True)
    features |= packing.plan(fill, parts) if packing else {}
    return tf.nest.map_structure(tf.constant, (features, targets, weights))


def lowered(function: Callable[[Any], Any], batch: Any) -> bytes | Refused:
    """Serialized HLO of a function of one batch, or the operation in it that XLA does not know."""
    compiled = tf.function(function, jit_compile=True)
    try:
        return compiled.experimental_get_compiler_ir(batch)(stage="hlo_serialized")
    except (ValueError, tf.errors.OpError) as error:
        return refusal(str(error))


def _bytes(variable: Any) -> int:
    return math.prod(variable.shape) * tf.as_dtype(variable.dtype).size
