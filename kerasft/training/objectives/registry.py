"""Which class is which `training.objective`."""

from __future__ import annotations

import functools

from kerasft.config.schema import Config
from kerasft.training.objectives.base import MakeObjective, Objective
from kerasft.training.objectives.fgm import Fgm
from kerasft.training.objectives.focal import Focal
from kerasft.training.objectives.freelb import FreeLB
from kerasft.training.objectives.neftune import Neftune
from kerasft.training.objectives.pgd import Pgd
from kerasft.training.objectives.rdrop import RDrop
from kerasft.training.objectives.smart import Smart
from kerasft.training.objectives.supervised_contrastive import SupervisedContrastive

# A class takes the keys of its section by their names.
OBJECTIVES: dict[str, type[Objective]] = {
    "focal": Focal,
    "rdrop": RDrop,
    "fgm": Fgm,
    "pgd": Pgd,
    "freelb": FreeLB,
    "smart": Smart,
    "neftune": Neftune,
    "supervised_contrastive": SupervisedContrastive,
}


def configured_objective(config: Config) -> MakeObjective | None:
    """What makes the objective that a config names; None: it is the task's loss."""
    section = config.training.objective
    if section is None:
        return None
    return functools.partial(OBJECTIVES[section.name], **section.model_dump(exclude={"name"}))
