"""What happens between steps: progress, learning curves, checkpoints, signals."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from kerasft.config.schema import Checkpoint
from kerasft.console.signals import ENDS, leave_terminal, signals_heeded
from kerasft.console.terminal import Terminal
from kerasft.invocation import training_command
from kerasft.training.checkpoints.checkpoint import Checkpoints

CURVE_POINTS = 200  # of the training loss: more would not show in a plot


class Watch:
    """Orbit's actions of one run; also the context in which Ctrl-C, SIGTERM and SIGHUP mean `save, then stop`.

    Args:
        checkpoints: of the run; its progress is kept up to date here.
        steps: all the steps of the run.
        metric: what the best validation is chosen by, shown beside the loss.
        saving: when a checkpoint is written besides those after each validation.
        folder: of the run, to name it.
        terminal: shows progress.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        steps: int,
        metric: str,
        saving: Checkpoint,
        folder: Path,
        terminal: Terminal,
    ):
        self.checkpoints, self.steps, self.metric, self.saving = checkpoints, steps, metric, saving
        self.folder, self.terminal, self.progress = folder, terminal, checkpoints.progress
        self.started = time.monotonic() - self.progress.spent["seconds"]  # as if it had never stopped
        self.saved, self.last = time.monotonic(), checkpoints.step
        self.every = max(1, steps // CURVE_POINTS)
        self.signal: int | None = None

    def __enter__(self) -> Watch:
        self.before = {}
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._on_signal) for number in signals_heeded()}
        self.shown = self.terminal.progress("train", self.steps)
        self.line = self.shown.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.shown.__exit__(*details)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.signal = number
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C does not wait
        if number == signal.SIGHUP:
            leave_terminal()

    def after_steps(self, output: dict[str, Any]) -> None:
        """After each call of the device."""
        progress, step, loss = self.progress, self.checkpoints.step, output["loss"]
        progress.spent["seconds"] = time.monotonic() - self.started
        progress.losses.append(loss)
        if len(progress.losses) >= self.every or step >= self.steps:
            mean = sum(progress.losses) / len(progress.losses)
            progress.history.append({"step": step, "loss": mean, "learning_rate": output["learning_rate"]})
            progress.losses.clear()
        best = {f"best {self.metric}": progress.best["value"]} if progress.best else {}
        self.line.update(step, examples=progress.spent["examples"], loss=loss, **best)
        if self._due(step):
            self._save()
        self.last = step
        if self._signalled():
            self.stop()

    def after_evaluation(self, output: dict[str, Any]) -> None:
        """After each validation."""
        progress, step = self.progress, self.checkpoints.step
        progress.spent["seconds"] = time.monotonic() - self.started
        progress.history.append({"step": step, "validation": output})
        self._save()
        self.line.resumed()
        if self._signalled():
            self.stop(saved=True)

    def within_evaluation(self, done: int) -> None:
        """After each batch of a validation: it may take longer than the machine has left."""
        if self._signalled():
            raise StopEvaluation

    def stop(self, saved: bool = False) -> NoReturn:
        """Saves, and ends the run with the command that goes on."""
        if not saved:
            self._save()
        self.checkpoints.workers.wait()  # a worker that went now could take those with it that still write
        self.checkpoints.workers.part()
        kind, word = ENDS[self.signal or signal.SIGINT]
        raise kind(
            f"{word} at step {self.checkpoints.step} of {self.steps}; to go on: "
            f"{training_command(self.folder / 'config.yaml', '--resume')}"
        )

    def _signalled(self) -> bool:
        """Whether any worker was told to end: all stop after the same step."""
        agreed = max(self.checkpoints.workers.share(self.signal or 0))
        if agreed:
            self.signal = agreed
        return bool(agreed)  # a signal that came meanwhile is the next step's

    def _due(self, step: int) -> bool:
        steps, minutes = self.saving.every_steps, self.saving.every_minutes
        late = minutes is not None and time.monotonic() - self.saved >= 60 * minutes
        # several steps a loop may jump over a multiple
        return late or (steps is not None and step // steps > self.last // steps)

    def _save(self) -> None:
        self.checkpoints.save()
        self.saved = time.monotonic()


class StopEvaluation(Exception):
    """A signal came while a validation was running; weights are put back on the way out."""
