"""Which class is which `training.objective`."""

from __future__ import annotations

import functools

from kerasft.config.objective import DistillationConfig
from kerasft.config.schema import Config
from kerasft.errors import UserError
from kerasft.training.objectives.base import MakeObjective, Objective
from kerasft.training.objectives.fgm import Fgm
from kerasft.training.objectives.focal import Focal
from kerasft.training.objectives.freelb import FreeLB
from kerasft.training.objectives.mixout import Mixout
from kerasft.training.objectives.mixup import Mixup
from kerasft.training.objectives.neftune import Neftune
from kerasft.training.objectives.pgd import Pgd
from kerasft.training.objectives.rdrop import RDrop
from kerasft.training.objectives.run_teacher import taught
from kerasft.training.objectives.server_teacher import Server
from kerasft.training.objectives.smart import Smart
from kerasft.training.objectives.supervised_contrastive import Contrastive, SupervisedContrastive
from kerasft.training.objectives.task_loss import TaskLoss

# A class takes the keys of its section by their names.
OBJECTIVES: dict[str, type[Objective]] = {
    "focal": Focal,
    "rdrop": RDrop,
    "fgm": Fgm,
    "pgd": Pgd,
    "freelb": FreeLB,
    "smart": Smart,
    "neftune": Neftune,
    "mixout": Mixout,
    "supervised_contrastive": SupervisedContrastive,
}


def make_objective(config: Config, given: MakeObjective | None = None, server: Server | None = None) -> MakeObjective:
    """What makes the objective that a config names, or the one that was given from Python, or the task's loss.

    Args:
        config: of the run.
        given: from Python.
        server: that the config names as a teacher; None: it names none.

    Raises:
        UserError: there are both.
    """
    section, contrastive = config.training.objective, config.training.contrastive
    if contrastive is not None:
        if given is not None:
            raise UserError("training.contrastive: an objective was given from Python, too; keep one of them")
        return functools.partial(Contrastive, temperature=contrastive.temperature)
    if config.augment is not None and config.augment.mixup is not None:
        if section is not None or given is not None:
            raise UserError("augment.mixup: is what a training minimises, and so is an objective; keep one of them")
        return functools.partial(Mixup, alpha=config.augment.mixup.alpha, seed=config.seed)
    if section is None:
        return given or TaskLoss
    if given is not None:
        raise UserError(f"training.objective: {section.name}, and an objective was given from Python; keep one of them")
    if isinstance(section, DistillationConfig):
        return taught(section, server)
    return functools.partial(OBJECTIVES[section.name], **section.model_dump(exclude={"name"}))
