"""Ctrl-C, SIGTERM and SIGHUP, while a training runs, mean: save, then stop, and say how to go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from kerasft.console.signals import ENDS, leave_terminal, signals_heeded
from kerasft.invocation import training_command
from kerasft.training.actions.base import Action, Training


class StopEvaluation(Exception):
    """A signal came while a validation was running; weights are put back on the way out.

    Args:
        stop: to be called then: it saves, and ends the run.
    """

    def __init__(self, stop: Callable[[], NoReturn]):
        super().__init__()
        self.stop = stop


class StopOnSignal(Action):
    """Ends the run after the step, or within the validation, in which a signal came to any of its workers."""

    def begin(self, training: Training) -> None:
        super().begin(training)
        self.signal: int | None = None
        self.before = {}
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._on_signal) for number in signals_heeded()}

    def after_steps(self, output: dict[str, Any]) -> None:
        if self._signalled():
            self.stop()

    def after_evaluation(self, metrics: dict[str, Any]) -> None:
        if self._signalled():
            self.stop(saved=True)

    def within_evaluation(self, rows: int) -> None:
        """After each batch of a validation: it may take longer than the machine has left."""
        if self._signalled():
            raise StopEvaluation(self.stop)

    def end(self, *failed: Any) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def stop(self, saved: bool = False) -> NoReturn:
        """Saves, and ends the run with the command that goes on."""
        training, checkpoints = self.training, self.training.checkpoints
        if not saved:
            checkpoints.save()
        checkpoints.workers.wait()  # a worker that went now could take those with it that still write
        checkpoints.workers.final_barrier()
        kind, word = ENDS[self.signal or signal.SIGINT]
        raise kind(
            f"{word} at step {checkpoints.step} of {training.steps}; to go on: "
            f"{training_command(training.folder / 'config.yaml', '--resume')}"
        )

    def _on_signal(self, number: int, frame: Any) -> None:
        self.signal = number
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C does not wait
        if number == signal.SIGHUP:
            leave_terminal()

    def _signalled(self) -> bool:
        """Whether any worker was told to end: all stop after the same step."""
        agreed = max(self.training.checkpoints.workers.all_gather(self.signal or 0))
        if agreed:
            self.signal = agreed
        return bool(agreed)  # a signal that came meanwhile is the next step's
