"""Weights that stay near those of before: EWC (Kirkpatrick et al. 2017, arXiv:1612.00796) and L2-SP (1802.01483)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasft.config.continual import EwcConfig, L2SpConfig
from kerasft.continual.methods.base import Method
from kerasft.errors import UserError

if TYPE_CHECKING:
    import keras

    from kerasft.tasks.base import Task
    from kerasft.training.actions import Measured
    from kerasft.training.objectives.base import MakeObjective, Objective

FILE = "fisher.npz"
_NO_PEFT = {"model.peft": "its penalty is on the model's own weights; set it to null"}


class L2Sp(Method[L2SpConfig]):
    """All weights are drawn to those that the stage starts from; the columns of new classes are free."""

    refused = _NO_PEFT

    def objective(self) -> MakeObjective | None:
        if self.situation.parent is None:
            return None

        def make(model: keras.Model, task: Task) -> Objective:
            from kerasft.continual.methods.penalty import Anchored, uniform

            return Anchored(
                model, task, strength=self.section.strength, weights=uniform(model, len(self.situation.old_labels))
            )

        return make


class Ewc(Method[EwcConfig]):
    """Weights are drawn to the parent's, each by its Fisher information: the online form, with one anchor.

    F of a stage is the mean over single training rows of the squared gradient of log p(y | x). From stage to stage it
    is decay * (F of before) + F of the stage (Schwarz et al. 2018, arXiv:1805.06370). New columns have F = 0.
    """

    refused = _NO_PEFT

    def objective(self) -> MakeObjective | None:
        if self.situation.parent is None:
            return None
        file = self.situation.memory(FILE)
        if file is None:
            raise UserError(
                f"{self.situation.parent.folder} was not trained by method ewc, and has no Fisher information; train "
                "it with continual.method=ewc, or name another method here"
            )

        def make(model: keras.Model, task: Task) -> Objective:
            from kerasft.continual.methods.penalty import Anchored, grown

            with np.load(file, allow_pickle=False) as saved:
                fisher = {name: saved[name] for name in saved.files}
            return Anchored(model, task, strength=self.section.strength, weights=grown(file, fisher, model))

        return make

    def keep(self, measured: Measured, folder: Path) -> None:
        import io

        from kerasft.atomic import write_bytes_atomically
        from kerasft.continual.methods.fisher import fisher_information
        from kerasft.continual.methods.penalty import grown

        trained, section, drawn = measured.trained, self.section, self.section.fisher == "model"
        train, seed = measured.prepared["train"], self.situation.config.seed
        found = fisher_information(trained.model, train, section.fisher_rows, seed, drawn=drawn)
        if (file := self.situation.memory(FILE)) is not None:
            with np.load(file, allow_pickle=False) as saved:
                before = grown(file, {name: saved[name] for name in saved.files}, trained.model)
            found = {name: section.decay * before[name] + value for name, value in found.items()}
        content = io.BytesIO()
        np.savez(content, **found)  # pyright: ignore[reportArgumentType]  names of weights are no options of it
        write_bytes_atomically(folder / FILE, content.getvalue())
