"""What happens between steps: progress, learning curves, checkpoints, Ctrl-C, a loss that is no number."""

from __future__ import annotations

import math
import signal
import threading
import time
from pathlib import Path
from typing import Any

from kerasft.errors import Diverged, Interrupted
from kerasft.terminal import Terminal
from kerasft.training.checkpoint import Checkpoints

CURVE_POINTS = 200  # of the training loss: more would not show in a plot


class Watch:
    """Orbit's actions of one run; also the context in which Ctrl-C means `save, then stop`.

    Args:
        checkpoints: of the run; its progress is kept up to date here.
        steps: all the steps of the run.
        metric: what the best validation is chosen by, shown beside the loss.
        save_every: steps between checkpoints, besides those after each validation; None: only those.
        folder: of the run, to name it.
        terminal: shows progress.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        steps: int,
        metric: str,
        save_every: int | None,
        folder: Path,
        terminal: Terminal,
    ):
        self.checkpoints, self.steps, self.metric, self.save_every = checkpoints, steps, metric, save_every
        self.folder, self.terminal, self.progress = folder, terminal, checkpoints.progress
        self.started = time.monotonic() - self.progress.spent["seconds"]  # as if it had never stopped
        self.every = max(1, steps // CURVE_POINTS)
        self.pressed = False
        self.losses: list[float] = []

    def __enter__(self) -> Watch:
        self.handles = threading.current_thread() is threading.main_thread()
        if self.handles:
            self.before = signal.signal(signal.SIGINT, self._on_interrupt)
        self.shown = self.terminal.progress("train", self.steps)
        self.line = self.shown.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        if self.handles:
            signal.signal(signal.SIGINT, self.before)
        self.shown.__exit__(*details)

    def _on_interrupt(self, number: int, frame: Any) -> None:
        self.pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C does not wait

    def after_steps(self, output: dict[str, Any]) -> None:
        """After each call of the device."""
        progress, step, loss = self.progress, self.checkpoints.step, output["loss"]
        progress.spent["seconds"] = time.monotonic() - self.started
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss is {loss} at step {step}; lower training.optimizer.learning_rate or set training.precision "
                f"to float32. The checkpoints in {self.folder}/checkpoints are from before"
            )
        self.losses.append(loss)
        if len(self.losses) >= self.every or step >= self.steps:
            mean = sum(self.losses) / len(self.losses)
            progress.history.append({"step": step, "loss": mean, "learning_rate": output["learning_rate"]})
            self.losses.clear()
        best = {f"best {self.metric}": progress.best["value"]} if progress.best else {}
        self.line.update(step, examples=progress.spent["examples"], loss=loss, **best)
        if self.save_every and step % self.save_every == 0:
            self.checkpoints.save()
        self._stop_if_pressed(step)

    def after_evaluation(self, output: dict[str, Any]) -> None:
        """After each validation."""
        progress, step = self.progress, self.checkpoints.step
        progress.spent["seconds"] = time.monotonic() - self.started
        progress.history.append({"step": step, "validation": output})
        self.checkpoints.save()
        self.line.resumed()
        self._stop_if_pressed(step, saved=True)

    def _stop_if_pressed(self, step: int, saved: bool = False) -> None:
        if not self.pressed:
            return
        if not saved:
            self.checkpoints.save()
        raise Interrupted(
            f"interrupted at step {step} of {self.steps}; to go on: "
            f"python -m kerasft.train {self.folder}/config.yaml --resume"
        )
