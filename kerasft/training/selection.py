"""Which validation of a run is the best, and whether training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasft.config import schema
from kerasft.tasks.base import Task
from kerasft.training.checkpoints.checkpoint import Progress


class Selection:
    """Keeps the best validation in the run's progress.

    Args:
        stopping: the section of early stopping; None: the task's headline chooses, and every step is trained.
        task: of the run.
        progress: of the run.
    """

    def __init__(self, stopping: schema.EarlyStopping | None, task: Task, progress: Progress):
        self._stopping, self._task, self._progress = stopping, task, progress
        self.metric = stopping.metric if stopping else task.headline

    def take(self, metrics: Mapping[str, Any], step: int) -> bool:
        """Takes note of a validation; returns whether it is the best so far."""
        progress, value = self._progress, metrics[self.metric]
        progress.validated = step
        if not self._improved(value):
            progress.waited += 1
            return False
        state = dict(self._task.state)  # with the thresholds that belong to these weights
        progress.best = {"step": step, "value": value, "state": state}
        progress.waited = 0
        return True

    @property
    def enough(self) -> bool:
        """Whether the run no longer improves."""
        return self._stopping is not None and self._progress.waited >= self._stopping.patience

    def _improved(self, value: float | None) -> bool:
        best = self._progress.best
        if not best or best["value"] is None:
            return True
        if value is None:
            return False
        gain = value - best["value"]
        least = self._stopping.min_delta if self._stopping else 0.0
        return (-gain if self.metric in self._task.falling else gain) > least
