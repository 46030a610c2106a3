"""Weights that stay near those of before: EWC (Kirkpatrick et al. 2017, arXiv:1612.00796) and L2-SP (1802.01483)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kerasft.atomic import write_bytes_atomically
from kerasft.config.continual import EwcConfig, L2SpConfig
from kerasft.continual.methods.base import Method
from kerasft.errors import UserError

if TYPE_CHECKING:
    import keras

    from kerasft.data.prepared.prepared import Prepared
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
        situation = self.situation
        if situation.parent is None:
            return None
        if situation.memory(FILE) is None and situation.parent_train is None:
            raise UserError(
                f"{situation.parent.folder} was not trained by method ewc, and the rows that it learnt can't be read "
                "again for its Fisher information: bring the files of its config.yaml back, or name another method"
            )

        def make(model: keras.Model, task: Task) -> Objective:
            from kerasft.continual.methods.penalty import Anchored

            return Anchored(model, task, strength=self.section.strength, weights=self._before(model))

        return make

    def _before(self, model: keras.Model) -> dict[str, np.ndarray]:
        """F of the parent, in the shapes of a model with more classes; of a parent without one, of its rows."""
        from kerasft.continual.methods.penalty import grown

        situation, file = self.situation, self.situation.memory(FILE)
        if file is not None:
            with np.load(file, allow_pickle=False) as saved:
                return grown(str(file), {name: saved[name] for name in saved.files}, model)
        assert situation.parent is not None and situation.parent_train is not None  # or `objective` has refused
        trained = situation.parent.load()
        train = trained.task.prepare(situation.parent_train, trained.preprocessor)
        return grown(str(situation.parent.folder), self._fisher(trained.model, train), model)

    def _fisher(self, model: keras.Model, train: Prepared) -> dict[str, np.ndarray]:
        from kerasft.continual.methods.fisher import fisher_information

        section, seed = self.section, self.situation.config.seed
        return fisher_information(model, train, section.fisher_rows, seed, drawn=section.fisher == "model")

    def keep(self, measured: Measured, folder: Path) -> None:
        model = measured.trained.model
        found = self._fisher(model, measured.prepared["train"])
        if self.situation.parent is not None:
            before, decay = self._before(model), self.section.decay
            found = {name: decay * before[name] + value for name, value in found.items()}
        content = io.BytesIO()
        np.savez(content, **found)  # pyright: ignore[reportArgumentType]  names of weights are no options of it
        write_bytes_atomically(folder / FILE, content.getvalue())
