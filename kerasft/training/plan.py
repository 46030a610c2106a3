"""All that a training is made of, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import tensorflow as tf

from kerasft.config.schema import Config
from kerasft.console.terminal import Terminal
from kerasft.data.prepared.prepared import Prepared
from kerasft.distribution.workers import Workers
from kerasft.peft.base import Method
from kerasft.runs import Run
from kerasft.tasks.base import Task
from kerasft.training.actions import Action
from kerasft.training.objectives.base import Objective


@dataclass(frozen=True)
class TrainingPlan:
    """All that a training is made of.

    Attributes:
        config: of the run; `training` and the seed are read.
        task: gives the metrics.
        model: created under the strategy, frozen as the config says.
        train: prepared training split.
        validation: prepared validation split.
        strategy: where it runs.
        folder: of the run; TensorBoard events go below it.
        checkpoints: the folder of checkpoints, local or gs://.
        terminal: shows progress.
        depths: variable path -> depth, for the layer-wise learning rate.
        workers: of the strategy.
        recomputed: transformer layers of the model that are computed again on the way back, to save memory.
        objective: what is minimised; None: the task's loss.
        actions: what happens beside the usual actions of a training.
        method: of parameter-efficient fine-tuning that the model was given; None: `model.trainable` says what trains.
        unlabelled: texts of `training.self_training`, prepared; None: there are none.
        soup: finished runs that the best weights are averaged with at the end.
    """

    config: Config
    task: Task
    model: keras.Model
    train: Prepared
    validation: Prepared
    strategy: tf.distribute.Strategy
    folder: Path
    checkpoints: str
    terminal: Terminal
    depths: Mapping[str, int] = field(default_factory=dict)
    workers: Workers = field(default_factory=Workers)
    recomputed: Sequence[keras.layers.Layer] = ()
    objective: Objective | None = None
    actions: tuple[Action, ...] = ()
    method: Method | None = None
    unlabelled: Prepared | None = None
    soup: Sequence[Run] = ()
