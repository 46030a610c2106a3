"""Learning without forgetting (Li and Hoiem 2016, arXiv:1606.09282)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasft.config.continual import LwfConfig
from kerasft.continual.methods.base import Method
from kerasft.continual.methods.entity_stage import stage_objective

if TYPE_CHECKING:
    import keras

    from kerasft.tasks.base import Task
    from kerasft.training.objectives.base import MakeObjective, Objective


class Lwf(Method[LwfConfig]):
    """The stage's own rows teach the new classes, and shall have the old logits of the old ones. No row is kept.

    Of a tagger, tokens without a type shall have the old answers; see `PartialTypes`.
    """

    def objective(self) -> MakeObjective | None:
        if self.situation.parent is None:
            return None
        old, section = len(self.situation.old_labels), self.section
        if self.situation.config.task.grows_types:
            return stage_objective(self.situation, strength=section.strength, temperature=section.temperature)

        def make(model: keras.Model, task: Task) -> Objective:
            from kerasft.continual.methods.old_answers import OldAnswers

            return OldAnswers(model, task, old=old, strength=section.strength, temperature=section.temperature)

        return make
