"""Which class is which `continual.method`."""

from __future__ import annotations

import os
from typing import Any

from kerasft.config.schema import Config
from kerasft.continual.methods.adapters import Adapters
from kerasft.continual.methods.analytic import Analytic, Sums, Unlearning
from kerasft.continual.methods.anchored import Ewc, L2Sp
from kerasft.continual.methods.base import Method, Situation
from kerasft.continual.methods.dark_experience import DarkExperience
from kerasft.continual.methods.lwf import Lwf
from kerasft.continual.methods.o_lora import OLora
from kerasft.continual.methods.plain import Joint, Sequential
from kerasft.continual.methods.prompt_pool import PromptPool
from kerasft.continual.methods.prototypes import ForgottenPrototypes, Prototypes
from kerasft.continual.methods.replay import Replay
from kerasft.distribution.cluster import find_cluster
from kerasft.errors import UserError

METHODS: dict[str, type[Method[Any]]] = {
    "analytic": Analytic,
    "prototypes": Prototypes,
    "replay": Replay,
    "der++": DarkExperience,
    "lwf": Lwf,
    "ewc": Ewc,
    "l2sp": L2Sp,
    "o_lora": OLora,
    "prompt_pool": PromptPool,
    "adapters": Adapters,
    "none": Sequential,
    "joint": Joint,
}
# Method -> the same, of a stage whose rows are forgotten exactly.
UNLEARNING: dict[str, type[Sums[Any]]] = {"analytic": Unlearning, "prototypes": ForgottenPrototypes}
# A stage keeps the weights of its last step: no row of an earlier stage has a say in which.
_NO_CHOICE = {
    "training.early_stopping": "a stage keeps the weights of its last step; set it to null",
    "training.evaluate_every": "a stage keeps the weights of its last step, and is validated then; set it to null",
}


_ANY_TASK = ("none", "joint", "adapters", "replay")  # methods that need neither labels nor logits
_TYPES = (*_ANY_TASK, "lwf")  # those of tasks whose types grow


def check_method(config: Config) -> None:
    """Raises UserError for what the method of a config can't go with, before any data is read."""
    assert config.continual is not None  # what calls this has looked
    name = config.continual.method
    for path, reason in _NO_CHOICE.items():
        value = getattr(config.training, path.split(".")[1])
        if value is not None:
            raise UserError(f"{path}: set, and so is continual: {reason}")
    mitigate = config.data.mitigate
    if mitigate is not None and "reweigh" in mitigate.methods and name != "adapters":
        raise UserError(
            "data.mitigate: reweigh does not go with continual: rows of other stages have no such weights; set "
            "data.mitigate=null"
        )
    possible = _TYPES if config.task.grows_types else _ANY_TASK
    if name not in possible and not config.task.grows:
        raise UserError(
            f"continual.method: {name} is for text_classification with one label for each text and without "
            f"task.out_of_scope; choose one of {', '.join(possible)}, or change the task"
        )
    if find_cluster(config, os.environ) is not None:
        raise UserError("continual: stages are for one process, and this is one of several workers; start it alone")
    METHODS[name].check(config)


def method_of(situation: Situation) -> Method[Any]:
    """The method of a stage's config."""
    section = situation.config.continual
    assert section is not None
    return METHODS[section.method](section, situation)
