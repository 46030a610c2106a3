"""The moments of a training at which an action is called, and what it sees of the training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasft.config.checkpoint import CheckpointConfig
from kerasft.console.terminal import Terminal
from kerasft.data.prepared.prepared import Prepared
from kerasft.runs import Run, Trained
from kerasft.training.checkpoints.checkpoint import Checkpoints


@dataclass
class Training:
    """What actions see of a training.

    Attributes:
        checkpoints: of the run: its step, its progress, its workers; `save` writes one.
        steps: number of the run's last step, unless it ends sooner.
        metric: what the best validation is chosen by.
        saving: when a checkpoint is written besides those after each validation.
        folder: runs/NAME, where an action may leave files.
        terminal: shows progress.
        model: features -> logits, with the weights of the newest step.
        enough: set to True, it ends the training soon, after a validation; every worker must do so alike.
    """

    checkpoints: Checkpoints
    steps: int
    metric: str
    saving: CheckpointConfig
    folder: Path
    terminal: Terminal
    model: keras.Model | None = None
    enough: bool = False


@dataclass(frozen=True)
class Measured:
    """What actions see of a model that was saved, loaded again and measured.

    Attributes:
        run: on disk.
        trained: the model.
        prepared: every split, tokenized.
        logits_of: a split of this model's, tokenized -> its logits.
        metrics: of validation and test, and what the training took.
        answers: rows of test, or of validation where there is no test, each with `truth`.
    """

    run: Run
    trained: Trained
    prepared: Mapping[str, Prepared]
    logits_of: Callable[[Prepared], np.ndarray]
    metrics: Mapping[str, Any]
    answers: Sequence[Mapping[str, Any]]


class Action:
    """Something that happens at moments of a training; each does nothing unless it is overridden."""

    training: Training

    def begin(self, training: Training) -> None:
        """Before the first step, or the first after a checkpoint."""
        self.training = training

    def after_steps(self, output: dict[str, Any]) -> None:
        """After each call of the device, which is of one step or several; `output` has `loss`, `learning_rate`."""

    def after_evaluation(self, metrics: dict[str, Any]) -> None:
        """After each validation, with its figures."""

    def within_evaluation(self, rows: int) -> None:
        """After each batch of a validation, with the number of rows that are done."""

    def end(self, *failed: Any) -> None:
        """Once training is over, with the three arguments of an error where one ends it."""

    def measured(self, measured: Measured) -> dict[str, Any]:
        """Once the saved model is measured, by the chief, before anything of that is written.

        Returns:
            Further sections of metrics.json.
        """
        return {}

    def may_export(self) -> bool:
        """Whether the run may be exported, asked after `measured`; the run stays either way."""
        return True


class Running:
    """The actions of a training that runs: a context, in which each is called in the order of the list."""

    def __init__(self, actions: Sequence[Action], training: Training):
        self.actions, self.training = list(actions), training
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Running:
        with self._ends as ends:  # those that have begun are ended where a later one fails
            for action in self.actions:
                action.begin(self.training)
                ends.push(lambda *failed, action=action: action.end(*failed))
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *failed: Any) -> None:
        self._ends.__exit__(*failed)

    def after_steps(self, output: dict[str, Any]) -> None:
        for action in self.actions:
            action.after_steps(output)

    def after_evaluation(self, metrics: dict[str, Any]) -> None:
        for action in self.actions:
            action.after_evaluation(metrics)

    def within_evaluation(self, rows: int) -> None:
        for action in self.actions:
            action.within_evaluation(rows)
