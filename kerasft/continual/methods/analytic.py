"""Random ReLU features of a frozen encoder, and one ridge solve by sums (RanPAC, arXiv:2307.02251)."""

from __future__ import annotations

import abc
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kerasft.atomic import write_bytes_atomically
from kerasft.config.continual import AnalyticConfig, PrototypesConfig
from kerasft.continual.memory.ridge import RidgeSums
from kerasft.continual.memory.tables import joined
from kerasft.continual.methods.base import MEMORY, Method
from kerasft.data.tables.table import Table
from kerasft.errors import UserError

if TYPE_CHECKING:
    import keras

    from kerasft.assembly import Start
    from kerasft.continual.methods.analytic_objective import SumsObjective
    from kerasft.runs import Run
    from kerasft.tasks.base import Task
    from kerasft.training.actions import Measured
    from kerasft.training.objectives.base import MakeObjective, Objective

SumsT = TypeVar("SumsT", AnalyticConfig, PrototypesConfig)


class Sums(Method[SumsT]):
    """What methods share whose head is computed from sums over the rows: no step is trained, and no text is stored.

    The result is that of all rows at once, whatever their order and their stages, up to rounding. The encoder is that
    of `model.preset`, or of the parent: it never changes, because the sums of another one would mean nothing.
    """

    refused = {
        "training.class_weights": "its sums count each row once; set it to null",
        "training.fit_head": "it solves for the head itself; set it to false",
        "training.objective": "it solves for the head itself; set it to null",
        "training.label_smoothing": "its targets are the classes themselves; set it to 0",
        "training.ema": "there are no steps whose weights could be averaged; set it to null",
        "model.peft": "its encoder does not train; set it to null",
    }
    file: str  # of the sums
    solved: SumsObjective

    def changes(self) -> dict[str, Any]:
        # float32: the features must be those that the exported model computes
        return {"model.trainable": "head", "training.precision": "float32"}

    @functools.cached_property
    def earlier(self) -> RidgeSums | None:
        """The sums that the parent left, read once; None: it has none."""
        file = self.situation.memory(self.file)
        return None if file is None else RidgeSums.read(file)

    def start(self) -> Start | None:
        return (
            super().start() if self.situation.memory(self.file) else None
        )  # the head of another method has other features

    def objective(self) -> MakeObjective:
        situation, sums, name = self.situation, self.earlier, self.section.method
        joined_sums: RidgeSums | None = None
        if self.forgets:
            assert situation.parent is not None  # there is nothing to forget without one
            if sums is None:
                raise UserError(
                    f"{situation.parent.folder}: --forget is exact for runs of method {name}, and it has no sums of "
                    "its rows; train again without these rows"
                )
            sums.check_learnt(self.digests())  # before a run is begun
        elif situation.other is not None:
            joined_sums = self._join(situation.other)  # before a run is begun
        elif situation.parent is not None and sums is None and situation.parent_train is None:
            raise UserError(
                f"{situation.parent.folder} was not trained by method {name}, and the rows that it learnt can't "
                "be read again: bring the files of its config.yaml back, or name another continual.method"
            )

        def make(model: keras.Model, task: Task) -> Objective:
            self.solved = self.solver(model, task)
            self.solved.forgets = self.forgets
            self.solved.joined = joined_sums
            return self.solved

        return make

    def _join(self, other: Run) -> RidgeSums:
        """The sums of the parent and what another run added to those of its own parent."""
        assert self.situation.parent is not None
        read = []
        for run in (self.situation.parent, other):
            if not (run.folder / MEMORY / self.file).is_file():
                raise UserError(
                    f"{run.folder}: --join adds the sums of two runs, and this one has none of method "
                    f"{self.section.method}; name a run of that method"
                )
            read.append(RidgeSums.read(run.folder / MEMORY / self.file))
        before = self.situation.before_other
        began = before.folder / MEMORY / self.file if before else None
        without = RidgeSums.read(began) if began is not None and began.is_file() else None
        return read[0].join(read[1], without).ordered(list(self.situation.labels))

    @abc.abstractmethod
    def solver(self, model: keras.Model, task: Task) -> SumsObjective:
        """The objective, of the rows of the stage and the sums before them."""

    def train(self) -> Table:
        situation = self.situation
        if situation.parent is not None and situation.memory(self.file) is None and situation.parent_train is not None:
            return joined([situation.parent_train, situation.train])
        return situation.train

    def digests(self) -> list[str]:
        """Of the rows that the stage learns."""
        return self.situation.digests(self.train())

    def keep(self, measured: Measured, folder: Path) -> None:
        write_bytes_atomically(folder / self.file, self.solved.sums.to_bytes())


class Analytic(Sums[AnalyticConfig]):
    """The head is solved for from the sums of products of random features."""

    file = "analytic.npz"

    def changes(self) -> dict[str, Any]:
        features = self.section.features if self.earlier is None else len(self.earlier.gram)
        return super().changes() | {"task.random_features": features}

    def solver(self, model: keras.Model, task: Task) -> SumsObjective:
        from kerasft.continual.methods.analytic_objective import AnalyticObjective

        return AnalyticObjective(model, task, self.earlier, self.digests(), ridge=self.section.ridge)


class Unlearning(Analytic):
    """The stage's rows are forgotten."""

    forgets = True
