"""Kept rows of earlier stages among the new ones (experience replay, Chaudhry et al. 2019, arXiv:1902.10486)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kerasft.config.continual import ReplayConfig
from kerasft.continual.memory.tables import joined
from kerasft.continual.methods.entity_stage import stage_objective
from kerasft.continual.methods.kept_rows import KeptRows, drawn
from kerasft.data.tables.table import Table

if TYPE_CHECKING:
    from kerasft.training.objectives.base import MakeObjective


class Replay(KeptRows[ReplayConfig]):
    """The stage trains on its own rows and, in each epoch, on as many kept ones as `share` says.

    Kept rows are repeated where they are fewer. Which rows a batch has is then, as ever, a function of the seed and the
    number of the step; kept rows count in the length of an epoch. Of a tagger, "no entity" says nothing of types that a
    row was not labelled for; see `PartialTypes`.
    """

    def train(self) -> Table:
        situation = self.situation
        if situation.parent is None:
            return situation.train
        kept = self.kept()
        return joined([situation.train, kept.select(self._repeated(len(kept)))])

    def _repeated(self, kept: int) -> np.ndarray:
        """Indices of the kept rows in an epoch."""
        situation, share = self.situation, self.section.share
        return drawn(kept, round(len(situation.train) * share / (1 - share)), situation.config.seed)

    def objective(self) -> MakeObjective | None:
        if self.situation.parent is None or not self.situation.config.task.grows_types:
            return None
        types = self.types_of_kept()
        return stage_objective(self.situation, [types[row] for row in self._repeated(len(types))])
