"""The two baselines: nothing keeps what was learnt, and nothing is ever left behind."""

from __future__ import annotations

from kerasft.config.continual import JointConfig, NoneConfig
from kerasft.continual.memory.tables import joined
from kerasft.continual.methods.base import Method
from kerasft.data.tables.table import Table
from kerasft.errors import UserError


class Sequential(Method[NoneConfig]):
    """Each stage trains on its own rows from the weights of the one before: what forgetting is measured by."""


class Joint(Method[JointConfig]):
    """Each stage trains from `model.preset` on the rows of all stages so far."""

    goes_on = False

    def train(self) -> Table:
        situation = self.situation
        if situation.parent is None:
            return situation.train
        if situation.parent_train is None:
            raise UserError(
                f"continual.method: joint needs the rows that {situation.parent.folder} learnt, and they can't be read "
                "again; bring the files of its config.yaml back, or name another method"
            )
        return joined([situation.parent_train, situation.train])
