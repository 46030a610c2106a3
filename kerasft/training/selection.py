"""Which validation of a run is the best, and whether training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasft.config.early_stopping import EarlyStoppingConfig
from kerasft.data.prepared.prepared import Prepared
from kerasft.tasks.base import Task
from kerasft.training.checkpoints.best import BestRule
from kerasft.training.checkpoints.checkpoint import Progress
from kerasft.training.split_loss import split_loss


class Selection:
    """Keeps the best validation in the run's progress.

    Args:
        stopping: the section of early stopping; None: the task's headline chooses, and every step is trained.
        task: says which metric counts and whether more of it is better.
        progress: holds the best validation until now; a part of each checkpoint.
    """

    def __init__(self, stopping: EarlyStoppingConfig | None, task: Task, progress: Progress):
        self._task, self._progress = task, progress
        self.metric = stopping.metric if stopping else task.headline
        self.rule = BestRule(self.metric, self.metric in task.falling, stopping)

    def take(self, metrics: Mapping[str, Any], split: Prepared, logits: np.ndarray, step: int) -> bool:
        """Takes note of a validation, its metrics and its logits; returns whether it is the best so far."""
        progress, value = self._progress, metrics[self.metric]
        loss = split_loss(self._task, split, logits, metrics)
        progress.validated = step
        if self.rule.counts(value, progress.counted):
            progress.counted, progress.waited = value, 0
        else:
            progress.waited += 1
        if not self.rule.is_best(value, loss, progress.best):
            return False
        state = dict(self._task.state)  # with the thresholds that belong to these weights
        progress.best = {"step": step, "value": value, "loss": loss, "state": state}
        return True

    def forget(self) -> None:
        """The next validation is the first that counts."""
        self._progress.best, self._progress.counted, self._progress.waited = {}, None, 0

    @property
    def enough(self) -> bool:
        """Whether the run no longer improves."""
        return self.rule.is_enough(self._progress.waited)
