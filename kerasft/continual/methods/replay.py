"""Kept rows of earlier stages among the new ones (experience replay, Chaudhry et al. 2019, arXiv:1902.10486)."""

from __future__ import annotations

from kerasft.config.continual import ReplayConfig
from kerasft.continual.memory.tables import joined
from kerasft.continual.methods.kept_rows import KeptRows, drawn
from kerasft.data.tables.table import Table


class Replay(KeptRows[ReplayConfig]):
    """The stage trains on its own rows and, in each epoch, on as many kept ones as `share` says.

    Kept rows are repeated where they are fewer. Which rows a batch has is then, as ever, a function of the seed and the
    number of the step; kept rows count in the length of an epoch.
    """

    def train(self) -> Table:
        situation = self.situation
        if situation.parent is None:
            return situation.train
        kept, share = self.kept(), self.section.share
        count = round(len(situation.train) * share / (1 - share))
        return joined([situation.train, kept.select(drawn(len(kept), count, situation.config.seed))])
