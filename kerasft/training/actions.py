"""What happens between steps: progress, learning curves, checkpoints, Ctrl-C, a loss that is no number."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from kerasft.errors import Diverged, Interrupted

if TYPE_CHECKING:  # the trainer owns its watch
    from kerasft.training.trainer import Trainer

CURVE_POINTS = 200  # of the training loss: more would not show in a plot


class Watch:
    """Orbit's actions of one run; also the context in which Ctrl-C means `save, then stop`.

    Args:
        trainer: whose state is shown and saved.
        started: `time.monotonic()` at which the run would have begun, had it never stopped.
    """

    def __init__(self, trainer: Trainer, started: float):
        self.trainer, self.started = trainer, started
        self.every = max(1, trainer.steps // CURVE_POINTS)
        self.pressed = False
        self.losses: list[float] = []

    def __enter__(self) -> Watch:
        self.handles = threading.current_thread() is threading.main_thread()
        if self.handles:
            self.before = signal.signal(signal.SIGINT, self._on_interrupt)
        self.shown = self.trainer.terminal.progress("train", self.trainer.steps)
        self.line = self.shown.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self.shown.__exit__(*details)
        if self.handles:
            signal.signal(signal.SIGINT, self.before)

    def _on_interrupt(self, number: int, frame: Any) -> None:
        self.pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C does not wait

    def after_steps(self, output: dict[str, Any]) -> None:
        """After each call of the device."""
        trainer, progress = self.trainer, self.trainer.progress
        step, loss = trainer.checkpoints.step, output["loss"]
        progress.spent["seconds"] = time.monotonic() - self.started
        if not math.isfinite(loss):
            raise Diverged(
                f"training stopped: the loss is {loss} at step {step}; lower training.optimizer.learning_rate "
                f"or set training.precision to float32. The checkpoints in {trainer.folder}/checkpoints are from before"
            )
        self.losses.append(loss)
        if len(self.losses) >= self.every or step >= trainer.steps:
            mean = sum(self.losses) / len(self.losses)
            progress.history.append({"step": step, "loss": mean, "learning_rate": output["learning_rate"]})
            self.losses.clear()
        best = {trainer.metric: progress.best["value"]} if progress.best else {}
        self.line.update(step, examples=progress.spent["examples"], loss=loss, **best)
        every = trainer.config.training.checkpoint.every_steps
        if every and step % every == 0:
            trainer.checkpoints.save()
        self._stop_if_pressed(step)

    def after_evaluation(self, output: dict[str, Any]) -> None:
        """After each validation."""
        trainer, progress = self.trainer, self.trainer.progress
        step = trainer.checkpoints.step
        progress.spent["seconds"] = time.monotonic() - self.started
        progress.history.append({"step": step, "validation": output})
        trainer.checkpoints.save()
        self._stop_if_pressed(step, saved=True)

    def _stop_if_pressed(self, step: int, saved: bool = False) -> None:
        if not self.pressed:
            return
        if not saved:
            self.trainer.checkpoints.save()
        folder = self.trainer.folder
        raise Interrupted(
            f"interrupted at step {step} of {self.trainer.steps}; to go on: "
            f"python -m kerasft.train {folder}/config.yaml --resume"
        )
