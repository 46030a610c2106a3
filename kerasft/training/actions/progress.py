"""Progress of a training: on the terminal, and as the curves of the report."""

from __future__ import annotations

import time
from typing import Any

from kerasft.training.actions.base import Action, Training

CURVE_POINTS = 200  # of the training loss: more would not show in a plot


class RecordCurves(Action):
    """Keeps the time that was spent, and rows of the learning curves, in the run's progress."""

    def begin(self, training: Training) -> None:
        super().begin(training)
        self.progress = training.checkpoints.progress
        self.started = time.monotonic() - self.progress.spent["seconds"]  # as if it had never stopped
        self.every = max(1, training.steps // CURVE_POINTS)

    def after_steps(self, output: dict[str, Any]) -> None:
        progress, step = self.progress, self.training.checkpoints.step
        progress.spent["seconds"] = time.monotonic() - self.started
        progress.losses.append(output["loss"])
        if len(progress.losses) >= self.every or step >= self.training.steps:
            mean = sum(progress.losses) / len(progress.losses)
            progress.history.append({"step": step, "loss": mean, "learning_rate": output["learning_rate"]})
            progress.losses.clear()

    def after_evaluation(self, metrics: dict[str, Any]) -> None:
        self.progress.spent["seconds"] = time.monotonic() - self.started
        self.progress.history.append({"step": self.training.checkpoints.step, "validation": metrics})


class ShowProgress(Action):
    """One line on the terminal: how far the training is, its loss and its best validation."""

    def begin(self, training: Training) -> None:
        super().begin(training)
        self.phase = training.terminal.progress("train", training.steps)
        self.line = self.phase.__enter__()

    def after_steps(self, output: dict[str, Any]) -> None:
        progress, metric = self.training.checkpoints.progress, self.training.metric
        best = {f"best {metric}": progress.best["value"]} if progress.best else {}
        examples = progress.spent["examples"]
        self.line.update(self.training.checkpoints.step, examples=examples, loss=output["loss"], **best)

    def after_evaluation(self, metrics: dict[str, Any]) -> None:
        self.line.resumed()

    def end(self, *failed: Any) -> None:
        self.phase.__exit__(*failed)
