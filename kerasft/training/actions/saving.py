"""When a training writes checkpoints."""

from __future__ import annotations

import time
from typing import Any

from kerasft.training.actions.base import Action, Training


class SaveCheckpoints(Action):
    """Writes a checkpoint after each validation, and as often between as `training.checkpoint` says."""

    def begin(self, training: Training) -> None:
        super().begin(training)
        self.saved, self.last = time.monotonic(), training.checkpoints.step

    def after_steps(self, output: dict[str, Any]) -> None:
        step = self.training.checkpoints.step
        if self._due(step):
            self._save()
        self.last = step

    def after_evaluation(self, metrics: dict[str, Any]) -> None:
        self._save()

    def _due(self, step: int) -> bool:
        steps, minutes = self.training.saving.every_steps, self.training.saving.every_minutes
        late = minutes is not None and time.monotonic() - self.saved >= 60 * minutes
        # several steps a loop may jump over a multiple
        return late or (steps is not None and step // steps > self.last // steps)

    def _save(self) -> None:
        self.training.checkpoints.save()
        self.saved = time.monotonic()
