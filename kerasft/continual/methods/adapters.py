"""A new task beside old ones: each has an adapter and a head of its own on one frozen base (arXiv:1902.00751)."""

from __future__ import annotations

from kerasft.config.continual import AdaptersConfig
from kerasft.config.schema import Config
from kerasft.continual.methods.base import Method
from kerasft.errors import UserError


class Adapters(Method[AdaptersConfig]):
    """The stage trains what `model.peft` adds to the base that its parent's adapter is for, and leaves the base alone.

    Nothing of an earlier task is changed, so that its answers keep their bits; it stays the run and the export that it
    is.
    """

    goes_on = False

    @classmethod
    def check(cls, config: Config) -> None:
        super().check(config)
        if config.model.peft is None:
            raise UserError(
                "continual.method: adapters leaves the base as it is; set model.peft, such as model.peft.method=lora"
            )
